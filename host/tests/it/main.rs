//! Integration tests of the host.

mod generated_wit;
mod manifest;
