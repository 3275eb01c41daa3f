//! `[variables]`, and the templates that refer to them. Which values they get is `manifest::variables`'s.

use std::collections::BTreeMap;

use super::super::Variable;
use super::super::document::{Fields, Located, Report};
use super::super::names::{self, Spelling};
use super::super::problem::instead_of;
use super::super::template::{self, Part};

pub(super) fn read(top: &mut Fields<'_>) -> BTreeMap<String, Variable> {
    let mut variables = BTreeMap::new();
    for (name, mut fields) in top.tables("variables", "variable", "{ default = \"…\" }") {
        let report = fields.report();
        names::check(report, "variable", name, Spelling::Variable);
        let default = fields.string("default").map(|d| d.text.to_owned());
        let required = fields.flag("required");
        let secret = fields.flag("secret");
        fields.string("description");
        if default.is_none() && !required {
            let message = format!("variable `{}` has no value and is not required", name.text);
            report.add(name.at, message, "add `default = \"…\"` or `required = true`");
        }
        if default.is_some() && required {
            let message = format!("variable `{}` is required and has a default", name.text);
            report.add(name.at, message, "remove `required` or `default`");
        }
        fields.finish();
        variables.insert(name.text.to_owned(), Variable { default, secret, line: report.line(name.at) });
    }
    variables
}

/// Reports variables in `text` that are not declared.
pub(super) fn check_template(report: &Report, text: Located<'_>, variables: &BTreeMap<String, Variable>) {
    let Some(parts) = template::parts(text.text) else {
        report.add(text.at, format!("`{}` opens `{{{{` and never closes it", text.text), "write `{{ name }}`");
        return;
    };
    for part in parts {
        let Part::Variable(name) = part else { continue };
        if !variables.contains_key(name) {
            let known = variables.keys().map(String::as_str);
            let hint =
                instead_of(name, known, &format!("declare it: `{name} = {{ default = \"…\" }}` in `[variables]`"));
            report.add(text.at, format!("unknown variable `{name}` in `{}`", text.text), hint);
        }
    }
}
