//! What a component can do, read from its type without compiling it: imports, exports and their shapes.

use std::collections::BTreeMap;
use std::fmt;

use wit_component::DecodedWasm;
use wit_parser::{Function, Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId, WorldId, WorldItem};

/// Components larger than this are refused before they are decoded.
pub const MAX_COMPONENT_BYTES: usize = 128 * 1024 * 1024;

/// What a component imports and exports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Imported functions by interface (`namespace:package/name@version`). Interfaces with types only are left out.
    pub imports: BTreeMap<String, BTreeMap<String, Signature>>,
    /// Exported functions by interface.
    pub exports: BTreeMap<String, BTreeMap<String, Signature>>,
    /// Imports that belong to no interface, and resources of interfaces that are not WASI's.
    pub irregular: Vec<String>,
}

/// A function's type, structurally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Whether it is an `async func`.
    pub is_async: bool,
    /// Parameters in order.
    pub params: Vec<Shape>,
    /// The result, if there is one.
    pub result: Option<Shape>,
}

/// A type without its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A scalar or string by its WIT name.
    Scalar(String),
    /// `list<…>`.
    List(Box<Shape>),
    /// `option<…>`.
    Option(Box<Shape>),
    /// `result<…, …>`.
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
    /// Fields in order.
    Record(Vec<(String, Shape)>),
    /// Cases in order.
    Variant(Vec<(String, Option<Shape>)>),
    /// Anything else, by its kind.
    Other(String),
}

/// Reads a component's type.
///
/// # Errors
/// When `bytes` is not a component: too large, truncated, a core module, something else.
pub fn inspect(bytes: &[u8]) -> anyhow::Result<Capabilities> {
    anyhow::ensure!(
        bytes.len() <= MAX_COMPONENT_BYTES,
        "it has {} bytes, more than the {MAX_COMPONENT_BYTES} that a component may have",
        bytes.len()
    );
    anyhow::ensure!(bytes.starts_with(b"\0asm"), "it is not a WebAssembly file");
    anyhow::ensure!(
        !bytes.starts_with(b"\0asm\x01\0\0\0"),
        "it is a core module, not a component; build it for the target `wasm32-wasip2`"
    );
    match wit_component::decode(bytes)? {
        DecodedWasm::Component(resolve, world) => Ok(capabilities(&resolve, world)),
        DecodedWasm::WitPackage(..) => anyhow::bail!("it is a WIT package, not a component"),
    }
}

/// The imports and exports of a world.
#[must_use]
pub fn capabilities(resolve: &Resolve, world: WorldId) -> Capabilities {
    let mut found = Capabilities::default();
    let Some(world) = resolve.worlds.get(world) else { return found };
    for (key, item) in &world.imports {
        let name = resolve.name_world_key(key);
        match item {
            WorldItem::Interface { id, .. } => {
                found.irregular.extend(resources(resolve, *id, &name));
                let functions = signatures(resolve, *id);
                if !functions.is_empty() {
                    found.imports.insert(name, functions);
                }
            }
            WorldItem::Function(_) => found.irregular.push(name),
            WorldItem::Type { .. } => {}
        }
    }
    for (key, item) in &world.exports {
        let name = resolve.name_world_key(key);
        let functions = match item {
            WorldItem::Interface { id, .. } => signatures(resolve, *id),
            WorldItem::Function(f) => BTreeMap::from([(f.name.clone(), signature(resolve, f))]),
            WorldItem::Type { .. } => continue,
        };
        found.exports.insert(name, functions);
    }
    found
}

fn signatures(resolve: &Resolve, interface: InterfaceId) -> BTreeMap<String, Signature> {
    let Some(interface) = resolve.interfaces.get(interface) else { return BTreeMap::new() };
    interface.functions.iter().map(|(name, f)| (name.clone(), signature(resolve, f))).collect()
}

fn resources(resolve: &Resolve, interface: InterfaceId, name: &str) -> Vec<String> {
    let Some(interface) = resolve.interfaces.get(interface).filter(|_| !name.starts_with("wasi:")) else {
        return Vec::new();
    };
    let is_resource = |id: &&TypeId| resolve.types.get(**id).is_some_and(|t| t.kind == TypeDefKind::Resource);
    interface
        .types
        .iter()
        .filter(|(_, id)| is_resource(id))
        .map(|(resource, _)| format!("resource {name}.{resource}"))
        .collect()
}

fn signature(resolve: &Resolve, function: &Function) -> Signature {
    Signature {
        is_async: function.kind.is_async(),
        params: function.params.iter().map(|p| shape(resolve, &p.ty)).collect(),
        result: function.result.as_ref().map(|t| shape(resolve, t)),
    }
}

fn shape(resolve: &Resolve, ty: &Type) -> Shape {
    match ty {
        Type::Id(id) => resolve.types.get(*id).map_or(Shape::Other("unknown".into()), |d| defined(resolve, &d.kind)),
        scalar => Shape::Scalar(scalar_name(scalar).to_owned()),
    }
}

fn defined(resolve: &Resolve, kind: &TypeDefKind) -> Shape {
    let boxed = |ty: &Type| Box::new(shape(resolve, ty));
    match kind {
        TypeDefKind::Type(ty) => shape(resolve, ty),
        TypeDefKind::List(ty) => Shape::List(boxed(ty)),
        TypeDefKind::Option(ty) => Shape::Option(boxed(ty)),
        TypeDefKind::Result(r) => Shape::Result(r.ok.as_ref().map(boxed), r.err.as_ref().map(boxed)),
        TypeDefKind::Record(record) => {
            Shape::Record(record.fields.iter().map(|f| (f.name.clone(), shape(resolve, &f.ty))).collect())
        }
        TypeDefKind::Variant(variant) => Shape::Variant(
            variant.cases.iter().map(|c| (c.name.clone(), c.ty.as_ref().map(|t| shape(resolve, t)))).collect(),
        ),
        TypeDefKind::Handle(Handle::Own(_) | Handle::Borrow(_)) => Shape::Other("handle".into()),
        other => Shape::Other(other.as_str().to_owned()),
    }
}

fn scalar_name(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(_) => "named",
    }
}

impl Signature {
    /// The fields of the record that a table function takes or gives: those of its parameter, else of its result.
    #[must_use]
    pub fn record_fields(&self, of_result: bool) -> Option<Vec<&str>> {
        let list = match (of_result, &self.result) {
            (true, Some(Shape::Result(Some(ok), _))) => ok.as_ref(),
            (true, _) => return None,
            (false, _) => self.params.first()?,
        };
        match list {
            Shape::List(item) => match item.as_ref() {
                Shape::Record(fields) => Some(fields.iter().map(|(name, _)| name.as_str()).collect()),
                _ => None,
            },
            _ => None,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |shape: &Option<Box<Shape>>| shape.as_ref().map_or("_".to_owned(), |s| s.to_string());
        match self {
            Shape::Scalar(name) | Shape::Other(name) => f.write_str(name),
            Shape::List(item) => write!(f, "list<{item}>"),
            Shape::Option(item) => write!(f, "option<{item}>"),
            Shape::Result(ok, err) => write!(f, "result<{}, {}>", part(ok), part(err)),
            Shape::Record(fields) => {
                let fields: Vec<String> = fields.iter().map(|(name, shape)| format!("{name}: {shape}")).collect();
                write!(f, "{{{}}}", fields.join(", "))
            }
            Shape::Variant(cases) => {
                let names: Vec<&str> = cases.iter().map(|(name, _)| name.as_str()).collect();
                write!(f, "variant {{{}}}", names.join(", "))
            }
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<String> = self.params.iter().map(Shape::to_string).collect();
        write!(f, "{}func({})", if self.is_async { "async " } else { "" }, params.join(", "))?;
        self.result.as_ref().map_or(Ok(()), |result| write!(f, " -> {result}"))
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
    }
}
