use std::time::Instant;
fn main() -> anyhow::Result<()> {
    for (n, y) in [(19, 1.51_f64), (6, 10.0), (40, 30.0)] {
        let options = dwd_mirror::Options::made_up(n, y);
        let catalogue = dwd_mirror::Catalogue::new(&options)?;
        let at = catalogue.at_start();
        for product in dwd_mirror::Product::ALL {
            let (mut rows, mut bytes, mut worst) = (0u64, 0u64, 0.0f64);
            let start = Instant::now();
            for file in catalogue.files(product, at) {
                let a = catalogue.archive(&file)?;
                anyhow::ensure!(a.len() as u64 == file.size());
                rows += (file.until - file.from) as u64;
                bytes += a.len() as u64;
                // count padding
                let pad = a
                    .windows(5)
                    .rev()
                    .skip(150)
                    .position(|w| {
                        w != [0, 0, 0, 255, 255]
                            && w != [0, 0, 255, 255, 0]
                            && w != [0, 255, 255, 0, 0]
                            && w != [255, 255, 0, 0, 0]
                            && w != [255, 0, 0, 0, 255]
                            && w != [0, 0, 0, 255, 255]
                    })
                    .unwrap_or(0);
                worst = worst.max((a.len() - pad) as f64 / (file.until - file.from) as f64);
            }
            let s = start.elapsed().as_secs_f64();
            println!(
                "{n} x {y} {product:?}: {rows} slots, {bytes} bytes, {s:.3} s, {:.2} M/s, worst {worst:.2}",
                rows as f64 / s / 1e6
            );
        }
    }
    Ok(())
}
