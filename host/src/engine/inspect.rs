//! What a component can do, read from its type without compiling it: imports, exports and their shapes.
//!
//! It is read by the validator that wasmtime itself uses, name by name as the file has them. A decoder to WIT would be
//! less work, but it leaves out what WIT cannot say (core modules, nested components) and takes one of two signatures
//! where an interface is both imported and exported, so that what the gate sees is not what would be linked.

mod shape;
mod wit;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType, ComponentFuncTypeId,
    ComponentInstanceTypeId, ComponentItem, ComponentValType, VariantCase,
};
use wasmparser::names::KebabString;
use wasmparser::types::{Types, TypesRef};
use wasmparser::{BinaryReaderError, Parser, Payload, ValidPayload, Validator, WasmFeatures};

pub use shape::{Shape, Signature};
pub use wit::capabilities;

/// Components larger than this are refused before they are read: a function of Rust has some 300 KB, one that brings a
/// Python along 40 MB, and compiling takes many times the size in memory.
pub const MAX_COMPONENT_BYTES: usize = 64 * 1024 * 1024;
/// Most imports of a component: WASI has about 40 interfaces, and each granted table or topic is one.
pub const MAX_IMPORTS: usize = 256;
/// Most parts of what a component imports and exports: each item, and the parts of functions' types, counted where they
/// are used: a type that is built of copies of itself has a million parts after twenty lines. All of WASI has some 3,000.
const MAX_PARTS: usize = 100_000;
/// A name counts as one more part for each so many bytes: a copy of it is made wherever it is used, and a file may have
/// it once, 100,000 bytes long, and use it 100,000 times. Those that people write are shorter.
const PART_BYTES: usize = 64;

/// Deepest nesting of components: composed ones have two or three. Each level is some bytes in the file and a thousand
/// times as many in memory.
const MAX_NESTING: usize = 50;
/// Characters that are told of what the validator says.
const MOST_SAID: usize = 300;
/// Characters of a name that are kept where it is told and no longer compared.
const MOST_NAME: usize = 200;

/// What a component imports and exports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Imported interfaces by name (`namespace:package/name@version`), those with types only too.
    pub imports: BTreeMap<String, Interface>,
    /// Exported interfaces by name.
    pub exports: BTreeMap<String, Interface>,
    /// Imports that are no plain interface, and what interfaces hold that is no function, type or resource: what it is
    /// and its name, such as "function `run`".
    pub irregular_imports: Vec<String>,
    /// The same of exports.
    pub irregular_exports: Vec<String>,
}

/// What an interface holds besides plain types.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its functions by name.
    pub functions: BTreeMap<String, Signature>,
    /// Its resources.
    pub resources: BTreeSet<String>,
}

/// The bytes of the component at `path`, or of a file that is too large the first so many that [`inspect`] says so.
///
/// # Errors
/// When the file cannot be read.
pub fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_COMPONENT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a component's type.
///
/// # Errors
/// When `bytes` is not a component that can be looked at: too large, truncated, a core module, something else.
pub fn inspect(bytes: &[u8]) -> anyhow::Result<Capabilities> {
    anyhow::ensure!(
        bytes.len() <= MAX_COMPONENT_BYTES,
        "it is larger than the {} MiB that a component may have, which spin.toml cannot raise; build it for release and \
         strip what is for debugging, or split it into several functions",
        MAX_COMPONENT_BYTES >> 20
    );
    anyhow::ensure!(bytes.starts_with(b"\0asm"), "it is not a WebAssembly file");
    anyhow::ensure!(
        !bytes.starts_with(b"\0asm\x01\0\0\0"),
        "it is a core module, not a component; build it for the target `wasm32-wasip2`"
    );
    let outline = outline(bytes)?;
    let mut reading = Reading { types: outline.types.as_ref(), parts: 0 };
    let mut found = Capabilities::default();
    for name in outline.imports {
        let item = reading.types.component_item_for_import(&name);
        reading.item(&name, item, &mut found.imports, &mut found.irregular_imports)?;
    }
    for name in outline.exports {
        let item = reading.types.component_item_for_export(&name);
        reading.item(&name, item, &mut found.exports, &mut found.irregular_exports)?;
    }
    Ok(found)
}

/// The names of a component's own imports and exports, and the types that they have.
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
    types: Types,
}

fn outline(bytes: &[u8]) -> anyhow::Result<Outline> {
    // Which proposals may be used is the engine's to say, when it compiles.
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut nested = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(damaged)?;
        match &payload {
            Payload::ComponentImportSection(section) if nested == 0 => {
                anyhow::ensure!(
                    imports.len() + section.count() as usize <= MAX_IMPORTS,
                    "it has more than {MAX_IMPORTS} imports, which spin.toml cannot raise; leave out those that it does \
                     not call, or split it into several functions"
                );
                for import in section.clone() {
                    imports.push(import.map_err(damaged)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if nested == 0 => {
                for export in section.clone() {
                    exports.push(export.map_err(damaged)?.name.name.to_owned());
                }
            }
            _ => {}
        }
        match validator.payload(&payload).map_err(damaged)? {
            ValidPayload::Parser(_) => {
                nested += 1;
                anyhow::ensure!(
                    nested <= MAX_NESTING,
                    "components are nested in it more than {MAX_NESTING} deep, which spin.toml cannot raise; compose it of fewer"
                );
            }
            ValidPayload::End(types) if nested == 0 => return Ok(Outline { imports, exports, types }),
            ValidPayload::End(_) => nested -= 1,
            // Bodies are validated when they are compiled.
            ValidPayload::Ok | ValidPayload::Func(..) => {}
        }
    }
    anyhow::bail!("it ends before the component does; build it anew")
}

/// What the validator says may hold names out of the file.
fn damaged(error: BinaryReaderError) -> anyhow::Error {
    let error: String = error.to_string().chars().filter(|c| !c.is_control()).take(MOST_SAID).collect();
    anyhow::anyhow!("it is damaged, cut short, or of a format that isobar does not know: {error}; build it anew")
}

struct Reading<'t> {
    types: TypesRef<'t>,
    /// Parts of types so far.
    parts: usize,
}

impl Reading<'_> {
    fn item(
        &mut self,
        name: &str,
        item: Option<&ComponentItem>,
        interfaces: &mut BTreeMap<String, Interface>,
        irregular: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let Some(item) = item else { anyhow::bail!("`{}` has no type", short(name)) };
        self.spend(name)?;
        let what = match (&item.ty, &item.implements) {
            (ComponentEntityType::Instance(id), None) if name.contains(':') => {
                let interface = self.interface(name, *id, irregular)?;
                interfaces.insert(name.to_owned(), interface);
                return Ok(());
            }
            (ComponentEntityType::Instance(_), Some(of)) => format!("`{}` in place of `{}`", short(name), short(of)),
            (ty, _) => format!("{} `{}`", kind(ty), short(name)),
        };
        irregular.push(self.name(&what)?);
        Ok(())
    }

    fn interface(
        &mut self,
        of: &str,
        id: ComponentInstanceTypeId,
        irregular: &mut Vec<String>,
    ) -> anyhow::Result<Interface> {
        let mut interface = Interface::default();
        let Some(instance) = self.types.get(id) else { anyhow::bail!("`{}` has no type", short(of)) };
        for (name, item) in &instance.exports {
            self.spend(name)?;
            match item.ty {
                ComponentEntityType::Func(id) => {
                    interface.functions.insert(name.clone(), self.signature(id)?);
                }
                ComponentEntityType::Type { referenced: ComponentAnyTypeId::Resource(_), .. } => {
                    interface.resources.insert(name.clone());
                }
                ComponentEntityType::Type { referenced: ComponentAnyTypeId::Defined(_), .. } => {}
                ref other => {
                    irregular.push(self.name(&format!("{} `{}.{}`", kind(other), short(of), short(name)))?);
                }
            }
        }
        Ok(interface)
    }

    fn signature(&mut self, id: ComponentFuncTypeId) -> anyhow::Result<Signature> {
        self.spend("")?;
        let Some(function) = self.types.get(id) else { anyhow::bail!("a function has no type") };
        Ok(Signature {
            is_async: function.async_,
            params: function.params.iter().map(|(_, ty)| self.shape(*ty)).collect::<anyhow::Result<_>>()?,
            result: function.result.map(|ty| self.shape(ty)).transpose()?,
        })
    }

    /// Recursion ends: the validator takes no type that is nested deeper than 100.
    fn shape(&mut self, ty: ComponentValType) -> anyhow::Result<Shape> {
        self.spend("")?;
        match ty {
            ComponentValType::Primitive(scalar) => Ok(Shape::Scalar(scalar.to_string())),
            ComponentValType::Type(id) => self.defined(id),
        }
    }

    fn defined(&mut self, id: ComponentDefinedTypeId) -> anyhow::Result<Shape> {
        let Some(ty) = self.types.get(id) else { anyhow::bail!("a type is missing") };
        Ok(match ty {
            ComponentDefinedType::Primitive(scalar) => Shape::Scalar(scalar.to_string()),
            ComponentDefinedType::List { element, .. } => Shape::List(Box::new(self.shape(*element)?)),
            ComponentDefinedType::Option { ty, .. } => Shape::Option(Box::new(self.shape(*ty)?)),
            ComponentDefinedType::Result { ok, err, .. } => {
                Shape::Result(self.part(*ok)?.map(Box::new), self.part(*err)?.map(Box::new))
            }
            ComponentDefinedType::Record(record) => {
                let field = |(name, ty): (&KebabString, &ComponentValType)| Ok((self.name(name)?, self.shape(*ty)?));
                Shape::Record(record.fields.iter().map(field).collect::<anyhow::Result<_>>()?)
            }
            ComponentDefinedType::Variant(variant) => {
                let case = |(name, case): (&KebabString, &VariantCase)| Ok((self.name(name)?, self.part(case.ty)?));
                Shape::Variant(variant.cases.iter().map(case).collect::<anyhow::Result<_>>()?)
            }
            ComponentDefinedType::Map { .. } => Shape::Other("map"),
            ComponentDefinedType::FixedLengthList { .. } => Shape::Other("list of fixed length"),
            ComponentDefinedType::Tuple(_) => Shape::Other("tuple"),
            ComponentDefinedType::Flags(_) => Shape::Other("flags"),
            ComponentDefinedType::Enum(_) => Shape::Other("enum"),
            ComponentDefinedType::Own(_) | ComponentDefinedType::Borrow(_) => Shape::Other("handle"),
            ComponentDefinedType::Future { .. } => Shape::Other("future"),
            ComponentDefinedType::Stream { .. } => Shape::Other("stream"),
        })
    }

    fn part(&mut self, ty: Option<ComponentValType>) -> anyhow::Result<Option<Shape>> {
        ty.map(|ty| self.shape(ty)).transpose()
    }

    /// A copy of a name, which a file may use more often than it has it.
    fn name(&mut self, name: &str) -> anyhow::Result<String> {
        self.spend(name)?;
        Ok(name.to_owned())
    }

    /// Counts a part with its name.
    fn spend(&mut self, name: &str) -> anyhow::Result<()> {
        self.parts += 1 + name.len() / PART_BYTES;
        anyhow::ensure!(
            self.parts <= MAX_PARTS,
            "what it imports and exports has more than {MAX_PARTS} parts, long names being several, which spin.toml \
             cannot raise; build it against the WIT that `isobar wit` writes"
        );
        Ok(())
    }
}

/// A name as far as a message shows it.
fn short(name: &str) -> String {
    name.chars().take(MOST_NAME).collect()
}

fn kind(ty: &ComponentEntityType) -> &'static str {
    match ty {
        ComponentEntityType::Module(_) => "core module",
        ComponentEntityType::Func(_) => "function",
        ComponentEntityType::Value(_) => "value",
        ComponentEntityType::Type { referenced: ComponentAnyTypeId::Resource(_), .. } => "resource",
        ComponentEntityType::Type { .. } => "type",
        ComponentEntityType::Instance(_) => "instance",
        ComponentEntityType::Component(_) => "component",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_is_said_plainly() {
        let text = |bytes: &[u8]| inspect(bytes).unwrap_err().to_string();
        assert_eq!(text(b"hello"), "it is not a WebAssembly file");
        assert!(text(b"\0asm\x01\0\0\0").contains("core module"));
        assert!(inspect(b"\0asm\x0d\0\x01\0\xff").is_err());
        let large = text(&vec![0; MAX_COMPONENT_BYTES + 1]);
        assert!(large.starts_with(
            "it is larger than the 64 MiB that a component may have, which spin.toml cannot raise; build"
        ));
    }
}
