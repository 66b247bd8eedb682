pub(crate) fn manual() -> String {
    String::new()
}
