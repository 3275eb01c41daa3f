//! All data as they leave by the API: to whoever asks for sensitive ones too, one at a time.

use std::io;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;

use super::answers::{BackupAsk, Fault, Refusal};
use super::view::View;

impl View {
    /// A backup, made first and then given piece by piece, and how many bytes that are. One at a time: each takes as
    /// much room again as the data.
    ///
    /// # Errors
    /// When sensitive data are not asked for, the log is in Kafka, another backup is being made or fetched, or the data cannot be copied.
    pub async fn backup(&self, ask: &BackupAsk) -> Result<(u64, BoxStream<'static, io::Result<Vec<u8>>>), Refusal> {
        if !ask.sensitive {
            let message = "a backup holds sensitive tables and topics: it is made only where those are asked for";
            return Err(Refusal::new(Fault::Sensitive, message).hint("ask with `sensitive=true`"));
        }
        if self.cluster.is_some() {
            let message = "the log is in Kafka, and the data folder holds copies of what is there";
            return Err(Refusal::new(Fault::Invalid, message)
                .hint("back up Kafka; another data folder has its copies from there"));
        }
        let permit = Arc::clone(&self.backups)
            .try_acquire_owned()
            .map_err(|_| Refusal::new(Fault::Busy, "another backup is being made").hint("try again when it is done"))?;
        let backup = self.store.backup().await?;
        let bytes = backup.bytes();
        let pieces = backup.pieces().map(move |piece| {
            let _ = &permit;
            piece
        });
        Ok((bytes, pieces.boxed()))
    }
}
