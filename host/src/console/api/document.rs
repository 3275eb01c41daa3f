//! The description of the API as OpenAPI. What a route asks and answers is said where the route is; what holds for all of them is
//! added here, by what they are.

use std::sync::LazyLock;

use axum::Json;
use http::Method;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{KnownFormat, Object, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Schema};
use utoipa::{Modify, PartialSchema, ToResponse, ToSchema};

use super::admission::PAGE_HEADER;
use super::{ROOT, routes};
use crate::console::events::{Change, Pulse};
use crate::console::problem::{MEDIA_TYPE, Problem};
use crate::console::scopes::Need;
use crate::console::sessions::COOKIE;

/// How a program shows who asks.
const TOKEN: &str = "token";
/// How a browser that is signed in does.
const SESSION: &str = "session";
/// What a browser's page sends besides, where something is changed.
const PAGE: &str = "page";
/// What may be answered whoever asks for whatever: nobody is known by the token, who is may not, who asks cannot be looked up.
const ALWAYS: [&str; 3] = ["401", "403", "500"];
/// Where a request says what it is about: it may say so in another way, or what it names may not be there.
const ASKED: [&str; 2] = ["400", "404"];
/// Where a request has a body: it may not come, or be too large.
const BODY: [&str; 3] = ["400", "408", "413"];
/// Where that is JSON: it may be called something else, or be JSON that says something else.
const JSON: [&str; 2] = ["415", "422"];

/// What holds for all.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Isobar",
        description = "Speaks to a host of WebAssembly functions on event streams: looks into it, operates it, deploys to it.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "The host that gives this document.")),
    components(schemas(Problem, Pulse, Change), responses(Problem)),
    tags(
        (name = "host", description = "What runs, where it stands, what happens, what was done."),
        (name = "sessions", description = "Browsers that are signed in."),
        (name = "access", description = "Tokens and users."),
        (name = "topics", description = "Records, as they were published."),
        (name = "tables", description = "Rows: looked into, exported, loaded."),
        (name = "functions", description = "Functions: paused, resumed, run, with what they remember."),
        (name = "dead letters", description = "Records that a function could not handle."),
        (name = "versions", description = "Versions of functions: deployed, compared, rolled back."),
        (name = "shadows", description = "Versions that follow the one in charge, and are compared with it."),
    ),
    modifiers(&Security)
)]
pub(super) struct Common;

/// By what is known who asks.
struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut OpenApi) {
        let key = |name: &str, description: &str| ApiKeyValue::with_description(name, description);
        let token = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("The token of a program.")).build();
        // The port is part of its name, as a browser does not tell hosts by ports.
        let cookie = key(
            &format!("{COOKIE}3000"),
            "The session of a browser; in place of 3000 stands the port that it asks at.",
        );
        let page = key(PAGE_HEADER, "Anything: pages of other sites cannot send it.");
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
        components.add_security_scheme(SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        components.add_security_scheme(PAGE, SecurityScheme::ApiKey(ApiKey::Header(page)));
    }
}

impl<'r> ToResponse<'r> for Problem {
    fn response() -> (&'r str, RefOr<Response>) {
        let told = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
        let response = ResponseBuilder::new().description("Why the request failed.").content(MEDIA_TYPE, told);
        ("Problem", response.build().into())
    }
}

/// Nothing but that it was done: `null`.
pub(super) struct Done;

impl PartialSchema for Done {
    fn schema() -> RefOr<Schema> {
        let null = Object::builder().schema_type(Type::Null).description(Some("Nothing but that it was done."));
        null.build().into()
    }
}

impl ToSchema for Done {}

/// A file that is no text.
pub(super) struct Octets;

impl PartialSchema for Octets {
    fn schema() -> RefOr<Schema> {
        let octets =
            Object::builder().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
        octets.description(Some("A file.")).build().into()
    }
}

impl ToSchema for Octets {}

static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(document);

/// Gives this document.
#[utoipa::path(get, path = "/openapi.json", tag = "host", operation_id = "openapi",
    responses((status = 200, description = "The description of this API as OpenAPI 3.1.", body = serde_json::Value)))]
pub(super) async fn openapi() -> Json<&'static OpenApi> {
    Json(&DOCUMENT)
}

/// The description of the API as OpenAPI 3.1.
#[must_use]
pub fn document() -> OpenApi {
    let (_, mut document) = routes().split_for_parts();
    for (path, item) in &mut document.paths.paths {
        let path = path.strip_prefix(ROOT).unwrap_or(path);
        for (method, operation) in [(Method::GET, &mut item.get), (Method::POST, &mut item.post)] {
            operation.iter_mut().for_each(|operation| complete(operation, &method, path));
        }
    }
    document
}

/// Adds what follows from what an operation is.
fn complete(operation: &mut Operation, method: &Method, path: &str) {
    let mut known_by = vec![SecurityRequirement::new::<_, _, &str>(TOKEN, [])];
    // The owner of the data folder shows its token, and no session is the owner's.
    if Need::of(method, path) != Need::Owner {
        let by_session = SecurityRequirement::new::<_, _, &str>(SESSION, []);
        known_by.push(if method == Method::POST { by_session.add::<_, _, &str>(PAGE, []) } else { by_session });
    }
    // Who signs in is not known yet, and the route says so itself.
    operation.security.get_or_insert(known_by);
    let mut problems = ALWAYS.to_vec();
    for parameter in operation.parameters.iter_mut().flatten() {
        problems.extend(ASKED);
        if let RefOr::T(parameter) = parameter {
            spell_out(parameter);
        }
    }
    if let Some(RefOr::T(body)) = &operation.request_body {
        problems.extend(ASKED.into_iter().chain(BODY));
        if body.content.contains_key("application/json") {
            problems.extend(JSON);
        }
    }
    for status in problems {
        let problem = || Ref::from_response_name(Problem::response().0).into();
        operation.responses.responses.entry(status.to_owned()).or_insert_with(problem);
    }
}

/// Says what stands in a path, and that a query string holds no null.
fn spell_out(parameter: &mut Parameter) {
    if parameter.parameter_in == ParameterIn::Path {
        let what = match parameter.name.as_str() {
            "function" => "The name of a function.",
            "topic" => "The name of a topic.",
            "table" => "The name of a table.",
            "user" => "The name of a user.",
            "token" => "The name of a token.",
            _ => return,
        };
        parameter.description.get_or_insert_with(|| what.to_owned());
    }
    if let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema
        && let SchemaType::Array(kinds) = &object.schema_type
        && let Some(kind) = kinds.iter().find(|kind| **kind != Type::Null)
    {
        object.schema_type = SchemaType::Type(kind.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What only the owner of the data folder may, or, signing in, who is not known yet.
    const OF_THE_OWNER: [&str; 10] = [
        "GET /backup",
        "GET /tokens",
        "GET /users",
        "POST /functions/{function}/state/delete",
        "POST /session",
        "POST /session/links",
        "POST /tokens",
        "POST /tokens/{token}/revoke",
        "POST /users",
        "POST /users/{user}/remove",
    ];

    /// Method, path below the root, and what is described there.
    fn operations() -> Vec<(Method, String, Operation)> {
        let mut found = Vec::new();
        for (path, item) in document().paths.paths {
            let path = path.strip_prefix(ROOT).unwrap_or_else(|| panic!("{path} is elsewhere")).to_owned();
            found.extend(item.get.map(|operation| (Method::GET, path.clone(), operation)));
            found.extend(item.post.map(|operation| (Method::POST, path.clone(), operation)));
            let others = [item.put, item.delete, item.options, item.head, item.patch, item.trace];
            assert!(others.iter().all(Option::is_none), "`complete` does not know this method of {path}");
        }
        found
    }

    #[test]
    fn each_operation_says_what_it_does_what_it_answers_and_how_it_fails() {
        let mut ids = BTreeSet::new();
        for (method, path, operation) in operations() {
            let of = format!("{method} {path}");
            assert!(operation.summary.is_some_and(|summary| !summary.is_empty()), "{of} has no summary");
            assert!(operation.tags.is_some_and(|tags| tags.len() == 1), "{of} has not one tag");
            let id = operation.operation_id.unwrap_or_default();
            assert!(ids.insert(id.clone()), "`{id}` of {of} is another operation's, too");
            let answers = &operation.responses.responses;
            let Some(RefOr::T(done)) = answers.get("200") else { panic!("{of} answers nothing") };
            assert!(done.content.values().all(|content| matches!(content, RefOr::T(c) if c.schema.is_some())), "{of}");
            assert!(!done.content.is_empty(), "{of} answers nothing");
            for status in ALWAYS {
                assert!(matches!(answers.get(status), Some(RefOr::Ref(_))), "{of} never fails with {status}");
            }
            let in_path = path.matches('{').count();
            let told = operation.parameters.iter().flatten().filter(|parameter| {
                matches!(parameter, RefOr::T(p) if p.parameter_in == ParameterIn::Path && p.description.is_some())
            });
            assert_eq!(told.count(), in_path, "{of} does not say what stands in its path");
        }
        assert!(ids.len() > 40, "{ids:?}");
    }

    #[test]
    fn what_is_described_is_known_to_who_decides_who_may() {
        let of_the_owner = operations().into_iter().filter(|(method, path, _)| Need::of(method, path) == Need::Owner);
        let mut of_the_owner: Vec<String> = of_the_owner.map(|(method, path, _)| format!("{method} {path}")).collect();
        of_the_owner.sort();
        assert_eq!(of_the_owner, OF_THE_OWNER);
    }

    #[test]
    fn whoever_changes_something_by_a_session_comes_from_the_page() {
        for (method, path, operation) in operations() {
            let told = serde_json::to_value(operation.security).unwrap();
            let expected = match (&method, path.as_str()) {
                (&Method::POST, "/session") => serde_json::json!([{}]),
                _ if Need::of(&method, &path) == Need::Owner => serde_json::json!([{"token": []}]),
                (&Method::POST, _) => serde_json::json!([{"token": []}, {"session": [], "page": []}]),
                _ => serde_json::json!([{"token": []}, {"session": []}]),
            };
            assert_eq!(told, expected, "{method} {path}");
        }
    }

    #[test]
    fn a_query_string_holds_no_null() {
        for (method, path, operation) in operations() {
            let told = serde_json::to_string(&operation.parameters).unwrap();
            assert!(!told.contains("\"null\""), "{method} {path}: {told}");
        }
    }
}
