//! Answers that many pages want at one time: each learns of the same change and asks the same question. It is answered once, until
//! something else is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use tokio::sync::OnceCell;

use super::answers::Refusal;

/// Answers that are kept; the oldest goes.
const MOST_ANSWERS: usize = 32;
/// A larger one is given to those who wait for it, and not kept.
const MOST_KEPT_BYTES: usize = 1024 * 1024;

type Cell = Arc<OnceCell<Result<Bytes, Refusal>>>;

/// Answers, by what was asked.
#[derive(Default)]
pub(super) struct Shared {
    kept: Mutex<VecDeque<Kept>>,
}

struct Kept {
    ask: String,
    /// The number when it was begun.
    number: u64,
    answer: Cell,
}

impl Shared {
    /// The answer to `ask` that was begun under this number; where there is none yet, `make` makes it.
    ///
    /// # Errors
    /// What `make` says, to all who waited for it; the next who asks tries anew.
    pub(super) async fn answer(
        &self,
        ask: String,
        number: u64,
        make: impl Future<Output = Result<Bytes, Refusal>>,
    ) -> Result<Bytes, Refusal> {
        let cell = self.place(&ask, number);
        let answer = cell.get_or_init(|| make).await.clone();
        if answer.as_ref().map_or(true, |answer| answer.len() > MOST_KEPT_BYTES) {
            self.held().retain(|kept| !Arc::ptr_eq(&kept.answer, &cell));
        }
        answer
    }

    fn place(&self, ask: &str, number: u64) -> Cell {
        let mut all = self.held();
        if let Some(kept) = all.iter().find(|kept| kept.ask == ask && kept.number == number) {
            return Arc::clone(&kept.answer);
        }
        all.retain(|kept| kept.ask != ask);
        all.truncate(MOST_ANSWERS - 1);
        let answer = Cell::default();
        all.push_front(Kept { ask: ask.to_owned(), number, answer: Arc::clone(&answer) });
        answer
    }

    fn held(&self) -> std::sync::MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::console::answers::Fault;

    #[tokio::test]
    async fn a_question_is_answered_once_until_something_else_is_told() {
        let (shared, made) = (Shared::default(), AtomicU32::new(0));
        let ask = async |what: &str, number| {
            let make = async {
                tokio::task::yield_now().await;
                let number = made.fetch_add(1, Ordering::Relaxed);
                Ok(Bytes::from(number.to_string()))
            };
            shared.answer(what.to_owned(), number, make).await.unwrap()
        };
        let (a, b, c) = tokio::join!(ask("days", 3), ask("days", 3), ask("years", 3));
        assert!(a == b && a != c, "one for both, and another for another question");
        assert_eq!(ask("days", 3).await, a);
        assert_ne!(ask("days", 4).await, a, "it may not hold what was told since");
        assert_eq!(made.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn neither_failures_nor_large_answers_are_kept() {
        let shared = Shared::default();
        let ask =
            async |answer: Result<Bytes, Refusal>| shared.answer("days".to_owned(), 1, async move { answer }).await;
        let away = Err(Refusal::new(Fault::Store, "it is away"));
        assert_eq!(ask(away.clone()).await, away);
        let large = Bytes::from(vec![b'x'; MOST_KEPT_BYTES + 1]);
        assert_eq!(ask(Ok(large.clone())).await, Ok(large));
        assert_eq!(ask(Ok(Bytes::from("small"))).await, Ok(Bytes::from("small")));
        for other in 0..2 * MOST_ANSWERS {
            let make = async { Ok(Bytes::new()) };
            shared.answer(other.to_string(), 1, make).await.unwrap();
        }
        assert_eq!(shared.held().len(), MOST_ANSWERS);
    }
}
