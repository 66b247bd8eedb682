//! Parsing of a `/metrics` page.

/// The value of one of the webhook's samples; name without our prefix, with its labels. The error
/// contains the whole page.
pub fn value(page: &str, sample: &str) -> Result<f64, String> {
    whole_value(page, &format!("gitvolume_webhook_{sample}"))
}

/// The value of a sample of any program; the whole name with its labels. The error contains the whole
/// page.
pub fn whole_value(page: &str, sample: &str) -> Result<f64, String> {
    let prefix = format!("{sample} ");
    let value = page.lines().find_map(|line| line.strip_prefix(&prefix));
    let value = value.and_then(|value| value.parse().ok());
    value.ok_or_else(|| format!("no number of {sample} in\n{page}"))
}
