//! The schema of a field: its type, and rules with the messages of its row of the table.

use args::TOKEN_PREFIXES;
use serde_json::Value;
use serde_json::json;

use crate::Annotation;
use crate::Key;
use crate::keys::value;
use crate::sources::objects::schema::rule::LABEL;
use crate::sources::objects::schema::rule::rule;

/// The host and the port of an address.
const HOST: &str = "([A-Za-z0-9_][A-Za-z0-9._-]*|\\\\[[0-9A-Fa-f:.]+\\\\])\
    (:([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])?)?";

/// The type of an annotation's field, and the rules for its value. The first rule that fails
/// provides the message, so each accepts whatever an earlier one refuses. `None` for an annotation
/// without a field.
pub(super) fn property(row: &Annotation) -> Option<Value> {
    let text = |longest: u32, rules: &[(&str, &str)]| {
        typed(row, json!({"type": "string", "maxLength": longest}), rules)
    };
    let one_of = |words: &[&str]| typed(row, json!({"type": "string", "enum": words}), &[]);
    let of_pattern = |longest: u32, pattern: &str| {
        let rule = format!("self.matches('{pattern}')");
        let schema = json!({"type": "string", "maxLength": longest, "pattern": pattern});
        typed(row, schema, &[(&rule, GRAMMAR)])
    };
    let number = |format: &str, least: i64, most: i64| {
        let rule = format!("self >= {least} && self <= {most}");
        let schema = json!({
            "type": "integer", "format": format, "minimum": least, "maximum": most,
        });
        typed(row, schema, &[(&rule, GRAMMAR)])
    };
    // The API server assumes the maximum length for such a string when it estimates the cost of a
    // rule: hence CEL's own functions, and no pattern for the length.
    let amount = |number: &str, text: &str| {
        let rule = format!(
            "type(self) == int ? {number} : self.matches('^[0-9.]') && isQuantity(self) && \
             quantity(self).isLessThan(quantity('1E')){text}"
        );
        typed(row, number_or_text(), &[(&rule, GRAMMAR)])
    };
    Some(match row.key {
        Key::Repo => {
            let has_credentials = has_credentials();
            let rule = format!(
                "{has_credentials} || self.matches('^(https?|ssh)://([^-/?#@:\\\\s\\\\p{{Cc}}]\
                 [^/?#@:\\\\s\\\\p{{Cc}}]*@)?{HOST}([/?#][^ \\\\p{{Cc}}]*)?$') || \
                 (!self.contains('://') && self.matches('^([^-/:@ \\\\p{{Cc}}][^/:@ \\\\p{{Cc}}]*@)?\
                 [^-/:@ \\\\p{{Cc}}][^/:@ \\\\p{{Cc}}]*:[^-: \\\\p{{Cc}}][^ \\\\p{{Cc}}]*$'))"
            );
            text(2048, &[(&rule, GRAMMAR)])
        }
        Key::Ref => {
            let name = "self.startsWith('semver:') || self.matches('^[^-+ ~^:?*\\\\[\\\\\\\\\\\\p{Cc}/.][^ ~^:?*\\\\[\\\\\\\\\\\\p{Cc}]*$') && \
                 self != '@' && !self.matches('[.]{2}|@[{]|//|/[.]|[.]lock(/|$)|[/.]$')";
            let range = version_range();
            let range = format!("!self.startsWith('semver:') || self.matches('^semver:{range}$')");
            text(1024, &[(name, GRAMMAR), (&range, value::RANGE)])
        }
        Key::MountPath => {
            let name = "([^/:.\\\\p{Cc}][^/:\\\\p{Cc}]*|[.][^/:.\\\\p{Cc}][^/:\\\\p{Cc}]*|\
                        [.]{2}[^/:\\\\p{Cc}]+)";
            let rule = format!("self.matches('^(/{name})+/?$')");
            let outside = "!self.matches('^/proc(/|$)')";
            text(4095, &[(&rule, GRAMMAR), (outside, value::PROC)])
        }
        Key::Link => text(
            1024,
            &[
                (
                    "!self.matches('\\\\p{Cc}|^/|/$|(^|/)[.]{2}(/|$)|^([.]?(/|$))*$')",
                    GRAMMAR,
                ),
                (
                    "!self.matches('^([.]/+)*[.](git|worktrees)(/|$)')",
                    value::OWN_NAMES,
                ),
            ],
        ),
        Key::Layout => one_of(&["projected", "files"]),
        Key::Mode => one_of(&["once", "sync"]),
        Key::Period | Key::Timeout | Key::MaxStaleness => {
            let (shortest, why) = match row.key {
                Key::MaxStaleness => ("1s", value::FRESH),
                _ => ("10ms", value::SHORT),
            };
            let is_one = "self.matches('^(0|(([0-9]{1,6}([.][0-9]{0,9})?|[.][0-9]{1,9})\
                          (ns|us|µs|μs|ms|s|m|h))+)$')";
            let long = format!("!{is_one} || duration(self) >= duration('{shortest}')");
            text(64, &[(is_one, GRAMMAR), (&long, why)])
        }
        Key::Depth => number("int64", 0, i32::MAX.into()),
        Key::Secret => {
            let rule = format!("size(self) <= 253 && self.matches('^{LABEL}([.]{LABEL})*$')");
            text(1024, &[(&rule, GRAMMAR)])
        }
        Key::Subdir => text(
            1024,
            &[(
                "self.matches('^[^/\\\\p{Cc}]+(/[^/\\\\p{Cc}]+)*/?$') && \
                 !self.matches('(?i)(^|/)([.]|[.]{2}|[.]git)(/|$)')",
                GRAMMAR,
            )],
        ),
        Key::SparseCheckout => text(
            16384,
            &[(
                "self.matches('(^|\\\\n)\\\\s*[^#\\\\s]') && \
                 !self.matches('[\\\\x00-\\\\x08\\\\x0b\\\\x0c\\\\x0e-\\\\x1f\\\\x7f-\\\\x{9f}]') && \
                 !self.matches('\\\\S[^\\\\n]*[\\\\t\\\\r][^\\\\n]*\\\\S')",
                GRAMMAR,
            )],
        ),
        Key::Filter => of_pattern(
            64,
            "^(blob:none|blob:limit=[0-9]{1,10}[kmg]?|tree:[0-9]{1,10})$",
        ),
        Key::Submodules => one_of(&["recursive", "shallow", "off"]),
        Key::Lfs | Key::ReadOnly | Key::SafeDirectory => {
            typed(row, json!({"type": "boolean"}), &[])
        }
        Key::Notify => {
            let has_credentials = has_credentials();
            let rule = format!(
                "{has_credentials} || self.matches('^https?://([^/?#@:\\\\s\\\\p{{Cc}}]*@)?{HOST}\
                 ([/?#][^\\\\s\\\\p{{Cc}}\\\\p{{Z}}]*)?$')"
            );
            let none = format!("!{has_credentials}");
            text(
                2048,
                &[(&none, value::CREDENTIALS_OF_NOTIFY), (&rule, GRAMMAR)],
            )
        }
        Key::SizeLimit => amount(
            "self > 0",
            " && quantity(self).isGreaterThan(quantity('0'))",
        ),
        Key::Medium => one_of(&["disk", "memory", "Memory"]),
        Key::Containers | Key::InitContainers => typed(
            row,
            json!({
                "type": "array", "maxItems": 128, "x-kubernetes-list-type": "atomic",
                "items": {"type": "string", "maxLength": 253},
            }),
            &[(
                "size(self) > 0 && self.all(name, name.matches('^[^,]*[^,\\\\s][^,]*$'))",
                GRAMMAR,
            )],
        ),
        Key::Position => of_pattern(1024, &format!("^(last|first|(before|after):{LABEL})$")),
        Key::User => {
            let number = "[1-9][0-9]{0,9}";
            let rule = format!(
                "type(self) == int ? self > 0 && self <= 2147483647 : \
                 self.matches('^{number}(:{number})?$') && (self.contains(':') ? \
                 int(self.substring(0, self.indexOf(':'))) <= 2147483647 && \
                 int(self.substring(self.indexOf(':') + 1)) <= 2147483647 : \
                 int(self) <= 2147483647)"
            );
            typed(row, number_or_text(), &[(&rule, GRAMMAR)])
        }
        Key::Image => text(
            1024,
            &[(
                "self.matches('^[^-\\\\s\\\\p{Cc}\\\\p{Z}][^\\\\s\\\\p{Cc}\\\\p{Z}]*$')",
                GRAMMAR,
            )],
        ),
        Key::MetricsPort => number("int32", 1024, 65535),
        Key::RequestsCpu
        | Key::RequestsMemory
        | Key::RequestsEphemeralStorage
        | Key::LimitsCpu
        | Key::LimitsMemory
        | Key::LimitsEphemeralStorage => amount("self >= 0", ""),
        Key::Use | Key::GitRepo | Key::Inject | Key::Injected | Key::Status => return None,
    })
}

/// A placeholder in a rule for the grammar of the row.
const GRAMMAR: &str = "";

/// The CEL expression for an address with credentials; it checks the text, as the parser of
/// annotations does.
pub(super) fn has_credentials() -> String {
    let prefixes = TOKEN_PREFIXES.join("|");
    format!(
        "self.matches('^[^:]*://(([^/?#]*:|{prefixes})[^/?#]*|[0-9a-f]{{40}}|[a-z2-7]{{52}}|\
         [^/?#@]{{76}}AZDO[^/?#@]{{4}})@')"
    )
}

/// The regular expression of a range of versions, as [`args::VersionRange`] parses it. It also
/// accepts a few ranges that the webhook then refuses, such as `>=*` and `1 - 2 3`: exact, it would be
/// five times as long.
fn version_range() -> String {
    let any = "[xX*]";
    let number = "[0-9]{1,18}";
    let numbers =
        format!("(0|[1-9][0-9]{{0,17}})([.]({any}([.]{any})?|{number}([.]({any}|{number}))?))?");
    let words = "[0-9A-Za-z-]+([.][0-9A-Za-z-]+)*";
    let comparator = format!(
        "(>=|=>|<=|=<|!=|~>|[><=~^])? *v?({any}([.]{any}){{0,2}}|{numbers})(-{words})?([+]{words})?"
    );
    let separator = "( +| *, *| *[|]{2} *| +- +)";
    format!(" *{comparator}({separator}{comparator})* *")
}

fn number_or_text() -> Value {
    json!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": true,
        "maxLength": 64,
    })
}

fn typed(row: &Annotation, mut schema: Value, rules: &[(&str, &str)]) -> Value {
    let default = row.default.map(|text| format!(" Default: {text}."));
    schema["description"] = json!(format!(
        "{} Accepted: {}.{}",
        row.meaning,
        row.grammar,
        default.unwrap_or_default()
    ));
    let rules: Vec<Value> = rules
        .iter()
        .map(|(expression, words)| match *words {
            GRAMMAR => rule(expression, &format!("expected {}", row.grammar)),
            words => rule(expression, words),
        })
        .collect();
    if !rules.is_empty() {
        schema["x-kubernetes-validations"] = json!(rules);
    }
    schema
}
