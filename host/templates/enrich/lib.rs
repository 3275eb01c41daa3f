//! `{{name}}`: what records say of something that is known by its id, together with its name.

#[cfg(target_arch = "wasm32")]
mod component;

/// What is published of a record: a name before what it said.
pub fn enriched(name: &str, value: &str) -> String {
    format!("{name}: {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_before_what_was_said() {
        assert_eq!(enriched("North Sea", "12"), "North Sea: 12");
    }
}
