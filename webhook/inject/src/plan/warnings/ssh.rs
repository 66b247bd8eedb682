//! The keys that git over ssh needs in a Secret.

use crate::plan::input::PlanInput;

/// The keys that a Secret must have for ssh.
pub(crate) fn ssh_needs(input: &PlanInput<'_>) -> &'static str {
    match input.settings.known_hosts {
        None => "a key and known_hosts",
        Some(_) => "a key",
    }
}
