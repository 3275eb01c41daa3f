//! What the log in Kafka costs, on brokers and stores of this machine: beside a bare consumer that does the same natively, from end
//! to end at a steady rate, and when a host takes over. Run by `ISOBAR_SERVICES=1 cargo bench -p isobar --bench kafka`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench that fails says so by panicking")]

mod latency;
mod rate;
mod stage;
mod takeover;

use local_services::services;

fn main() {
    // `cargo test --benches` asks for a list of tests, of which a bench has none.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let Some(services) = services("the benches on Kafka") else { return };
    let _undisturbed = services.undisturbed();
    stage::build();
    println!("machine: {} cores, shared with the services", std::thread::available_parallelism().unwrap());
    rate::run(services);
    latency::run(services);
    takeover::run(services);
}
