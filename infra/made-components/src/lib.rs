//! Components made in a test: of WIT, with a body that does nothing, or of text, for what WIT cannot say.

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

/// A component of a world that the last of some WIT files declares.
///
/// # Panics
/// Where the text is no WIT, or has no such world.
pub fn of_world<'t>(files: impl Iterator<Item = &'t str>, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package =
        files.map(|text| resolve.push_str("test.wit", text).unwrap_or_else(|e| panic!("{e:#}\n{text}"))).last();
    let world = resolve.select_world(&[package.expect("there is a file")], Some(world)).expect("there is the world");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("the module takes it");
    let encoder = ComponentEncoder::default().validate(true).module(&module).expect("the module says its world");
    encoder.realloc_via_memory_grow(true).encode().expect("the component is made")
}

/// A component as text.
///
/// # Panics
/// Where it is none.
#[must_use]
pub fn of_text(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}
