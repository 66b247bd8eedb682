/// Minimum similarity of a suggestion; below it, names have little more in common than their
/// alphabet.
const ALIKE: f64 = 0.8;

/// The known name that is most similar to an unknown one, for a suggestion.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .map(|(_, known)| known)
}
