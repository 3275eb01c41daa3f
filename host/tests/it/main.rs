//! Integration tests of the host.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails is what it is for")]

mod api;
mod away;
mod backup;
mod canary;
mod cli;
mod clock;
mod components;
mod crash;
mod damage;
mod deploys;
mod folder;
mod full_disk;
mod fuzz;
mod gate;
mod generated_wit;
mod hostile;
mod layers;
mod letters;
mod logs;
mod manifest;
mod migration;
mod new;
mod on_kafka;
mod over_reaching;
mod page;
mod people;
mod removal;
mod replays;
mod reread;
mod retention;
mod rollbacks;
mod shadow_cost;
mod shadows;
mod shop;
mod spin;
mod stage;
mod state_forms;
mod stops;
mod stores;
mod swaps;
mod trials;
mod verify;
mod watch;
mod wit_is_fresh;
