//! Integration tests of the host.

mod generated_wit;
mod manifest;
mod wit_is_fresh;
