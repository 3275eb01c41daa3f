//! `spin:variables/variables`: the component's own variables, templates filled in.

use wasmtime::component::{Accessor, HasData, Linker};

use super::CallState;

mod generated {
    wasmtime::component::bindgen!({
        inline: "
            package spin:variables@3.0.0;
            interface variables {
              variant error { invalid-name(string), undefined(string), provider(string), other(string) }
              get: async func(name: string) -> result<string, error>;
            }
            world host { import variables; }
        ",
        world: "host",
        imports: { default: async | store },
    });
}

use generated::spin::variables::variables;

struct Variables;

impl HasData for Variables {
    type Data<'a> = &'a mut CallState;
}

pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    variables::add_to_linker::<CallState, Variables>(linker, |state| state)
}

impl variables::Host for &mut CallState {}

impl variables::HostWithStore<CallState> for Variables {
    async fn get(accessor: &Accessor<CallState, Self>, name: String) -> Result<String, variables::Error> {
        accessor.with(|mut access| {
            let call: &mut CallState = access.get();
            call.context.variables.get(&name).cloned().ok_or(variables::Error::Undefined(name))
        })
    }
}
