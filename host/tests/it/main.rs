//! Integration tests of the host.

mod crash;
mod generated_wit;
mod layers;
mod manifest;
mod wit_is_fresh;
