//! The same capabilities, read from WIT text: what a component may have.

use std::collections::{BTreeMap, BTreeSet};

use wit_parser::{Function, InterfaceId, Resolve, Type, TypeDefKind, TypeId, WorldId, WorldItem};

use super::{Capabilities, Interface, Shape, Signature};

/// The imports and exports of a world.
#[must_use]
pub fn capabilities(resolve: &Resolve, world: WorldId) -> Capabilities {
    let mut found = Capabilities::default();
    let Some(world) = resolve.worlds.get(world) else { return found };
    for (items, interfaces, irregular) in [
        (&world.imports, &mut found.imports, &mut found.irregular_imports),
        (&world.exports, &mut found.exports, &mut found.irregular_exports),
    ] {
        for (key, item) in items {
            let name = resolve.name_world_key(key);
            match item {
                WorldItem::Interface { id, .. } => {
                    interfaces.insert(name, interface(resolve, *id));
                }
                WorldItem::Function(_) => irregular.push(format!("function `{name}`")),
                WorldItem::Type { .. } => irregular.push(format!("type `{name}`")),
            }
        }
    }
    found
}

fn interface(resolve: &Resolve, id: InterfaceId) -> Interface {
    let Some(found) = resolve.interfaces.get(id) else { return Interface::default() };
    let is_resource = |id: &TypeId| resolve.types.get(*id).is_some_and(|t| t.kind == TypeDefKind::Resource);
    let functions: BTreeMap<_, _> =
        found.functions.iter().map(|(name, f)| (name.clone(), signature(resolve, f))).collect();
    let resources: BTreeSet<_> =
        found.types.iter().filter(|(_, id)| is_resource(id)).map(|(name, _)| name.clone()).collect();
    Interface { functions, resources }
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
        Type::Id(id) => resolve.types.get(*id).map_or(Shape::Other("unknown"), |d| defined(resolve, &d.kind)),
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
        other => Shape::Other(other.as_str()),
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
