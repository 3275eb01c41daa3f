//! Trouble with Cassandra in words that hold no cell.

use scylla::errors::{DbError, ExecutionError, RequestAttemptError};

/// What the driver puts before the server's own words, which could quote a statement with its values.
const SERVERS_WORDS: &str = ", Error message: ";

/// What the driver says, without the server's own words, however deep they are.
pub(super) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let text = error.to_string();
    text.split_once(SERVERS_WORDS).map_or(text.as_str(), |(before, _)| before).to_owned()
}

/// Whether Cassandra has forgotten the statement, in which case it did nothing.
pub(super) fn is_unprepared(error: &ExecutionError) -> bool {
    matches!(error, ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Unprepared { .. }, _)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use scylla::errors::{NextPageError, NextRowError, PagerExecutionError, RequestError};

    #[test]
    fn what_the_server_says_is_told_to_nobody() {
        let server = || RequestAttemptError::DbError(DbError::ServerError, "of key (secret)".to_owned());
        let page = || NextPageError::RequestFailure(RequestError::LastAttemptError(server()));
        let errors: [&(dyn std::error::Error + 'static); 4] = [
            &server(),
            &ExecutionError::LastAttemptError(server()),
            &PagerExecutionError::NextPageError(page()),
            &NextRowError::NextPageError(page()),
        ];
        for error in errors {
            assert!(error.to_string().contains("secret"), "{error} does not say what the test looks for");
            let told = told(error);
            assert!(told.contains("Internal server error") && !told.contains("secret"), "{told}");
        }
    }
}
