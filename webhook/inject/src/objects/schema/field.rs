//! What a field may be: its type, and rules in the words of its row of the table.

use args::TOKEN_PREFIXES;
use serde_json::Value;
use serde_json::json;

use crate::annotations::Annotation;
use crate::value;

use super::LABEL;
use super::rule;

/// The host and the port of an address.
const HOST: &str = "([A-Za-z0-9_][A-Za-z0-9._-]*|\\\\[[0-9A-Fa-f:.]+\\\\])\
    (:([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])?)?";

/// The type of a field, and the rules for its value: of several that are wrong, the first one's words
/// count, so each lets pass what those before it refuse.
pub(super) fn property(row: &Annotation) -> Value {
    let text = |longest: u32, rules: &[(&str, &str)]| {
        typed(row, json!({"type": "string", "maxLength": longest}), rules)
    };
    let one_of = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let rule = format!("self in [{}]", words.join(", "));
        text(64, &[(&rule, GRAMMAR)])
    };
    // Every API server takes such a text for one of any length when it reckons what a rule costs:
    // hence its own functions, and no pattern of length.
    let amount = |number: &str, text: &str| {
        let rule = format!(
            "type(self) == int ? {number} : self.matches('^[0-9.]') && isQuantity(self) && \
             quantity(self).isLessThan(quantity('1E')){text}"
        );
        typed(row, number_or_text(), &[(&rule, GRAMMAR)])
    };
    match row.key {
        "repo" => {
            let has_credentials = has_credentials();
            let rule = format!(
                "{has_credentials} || self.matches('^(https?|ssh)://([^-/?#@:\\\\s\\\\p{{Cc}}]\
                 [^/?#@:\\\\s\\\\p{{Cc}}]*@)?{HOST}([/?#][^ \\\\p{{Cc}}]*)?$') || \
                 (!self.contains('://') && self.matches('^([^-/:@ \\\\p{{Cc}}][^/:@ \\\\p{{Cc}}]*@)?\
                 [^-/:@ \\\\p{{Cc}}][^/:@ \\\\p{{Cc}}]*:[^-: \\\\p{{Cc}}][^ \\\\p{{Cc}}]*$'))"
            );
            text(2048, &[(&rule, GRAMMAR)])
        }
        "ref" => text(
            1024,
            &[(
                "self.matches('^[^-+ ~^:?*\\\\[\\\\\\\\\\\\p{Cc}/.][^ ~^:?*\\\\[\\\\\\\\\\\\p{Cc}]*$') && \
                 self != '@' && !self.matches('[.]{2}|@[{]|//|/[.]|[.]lock(/|$)|[/.]$')",
                GRAMMAR,
            )],
        ),
        "mount-path" => {
            let name = "([^/:.\\\\p{Cc}][^/:\\\\p{Cc}]*|[.][^/:.\\\\p{Cc}][^/:\\\\p{Cc}]*|\
                        [.]{2}[^/:\\\\p{Cc}]+)";
            let rule = format!("self.matches('^(/{name})+/?$')");
            let outside = "!self.matches('^/proc(/|$)')";
            text(4095, &[(&rule, GRAMMAR), (outside, value::PROC)])
        }
        "link" => text(
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
        "mode" => one_of(&["once", "sync"]),
        "period" | "timeout" => {
            let is_one = "self.matches('^(0|(([0-9]{1,6}([.][0-9]{0,9})?|[.][0-9]{1,9})\
                          (ns|us|µs|μs|ms|s|m|h))+)$')";
            let long = format!("!{is_one} || duration(self) >= duration('10ms')");
            text(64, &[(is_one, GRAMMAR), (&long, value::SHORT)])
        }
        "depth" => typed(
            row,
            json!({"type": "integer", "format": "int64"}),
            &[("self >= 0 && self <= 2147483647", GRAMMAR)],
        ),
        "secret" => {
            let rule = format!("size(self) <= 253 && self.matches('^{LABEL}([.]{LABEL})*$')");
            text(1024, &[(&rule, GRAMMAR)])
        }
        "subdir" => text(
            1024,
            &[(
                "self.matches('^[^/\\\\p{Cc}]+(/[^/\\\\p{Cc}]+)*/?$') && \
                 !self.matches('(?i)(^|/)([.]|[.]{2}|[.]git)(/|$)')",
                GRAMMAR,
            )],
        ),
        "sparse-checkout" => text(
            16384,
            &[(
                "self.matches('(^|\\\\n)\\\\s*[^#\\\\s]') && \
                 !self.matches('[\\\\x00-\\\\x08\\\\x0b\\\\x0c\\\\x0e-\\\\x1f\\\\x7f-\\\\x{9f}]') && \
                 !self.matches('\\\\S[^\\\\n]*[\\\\t\\\\r][^\\\\n]*\\\\S')",
                GRAMMAR,
            )],
        ),
        "filter" => text(
            64,
            &[(
                "self.matches('^(blob:none|blob:limit=[0-9]{1,10}[kmg]?|tree:[0-9]{1,10})$')",
                GRAMMAR,
            )],
        ),
        "submodules" => one_of(&["recursive", "shallow", "off"]),
        "read-only" | "safe-directory" => typed(row, json!({"type": "boolean"}), &[]),
        "notify" => {
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
        "size-limit" => amount(
            "self > 0",
            " && quantity(self).isGreaterThan(quantity('0'))",
        ),
        "medium" => one_of(&["disk", "memory", "Memory"]),
        "containers" | "init-containers" => typed(
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
        "position" => {
            let rule = format!("self.matches('^(last|first|(before|after):{LABEL})$')");
            text(1024, &[(&rule, GRAMMAR)])
        }
        "user" => {
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
        "image" => text(
            1024,
            &[(
                "self.matches('^[^-\\\\s\\\\p{Cc}\\\\p{Z}][^\\\\s\\\\p{Cc}\\\\p{Z}]*$')",
                GRAMMAR,
            )],
        ),
        "metrics-port" => typed(
            row,
            json!({"type": "integer", "format": "int32"}),
            &[("self >= 1024 && self <= 65535", GRAMMAR)],
        ),
        // Amounts of resources. A key that is forgotten above is one of these, and its example is
        // then refused by a test.
        _ => amount("self >= 0", ""),
    }
}

/// In a rule, the words of the row.
const GRAMMAR: &str = "";

/// Judged on the text, as everywhere.
pub(super) fn has_credentials() -> String {
    let prefixes = TOKEN_PREFIXES.join("|");
    format!(
        "self.matches('^[^:]*://(([^/?#]*:|{prefixes})[^/?#]*|[0-9a-f]{{40}}|[a-z2-7]{{52}}|\
         [^/?#@]{{76}}AZDO[^/?#@]{{4}})@')"
    )
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
