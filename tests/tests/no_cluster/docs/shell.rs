//! Splits the commands of a block into words like a shell.

/// The words of one command.
pub(crate) type Words = Vec<String>;

/// The lines that a user types: those after `$ ` in a `console` block, all in a `sh` block; a
/// trailing backslash continues a line. The contents of a here-document are skipped.
fn typed(kind: &str, text: &str) -> Vec<String> {
    let mut typed = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let first = match kind {
            "console" => line.strip_prefix("$ "),
            _ => Some(line),
        };
        let Some(first) = first else { continue };
        let mut command = first.to_owned();
        while let Some(open) = command.strip_suffix('\\') {
            let next = lines.next().unwrap_or_default();
            command = format!("{} {}", open.trim_end(), next.trim_start());
        }
        if let Some((_, end)) = command.split_once("<<") {
            let end = end.trim_matches(|char| "-'\" ".contains(char)).to_owned();
            lines.by_ref().find(|line| line.trim() == end);
        }
        typed.push(command);
    }
    typed
}

/// The commands of a block, without assignments before them and redirections after them.
pub(crate) fn commands(kind: &str, text: &str) -> Vec<Words> {
    let mut commands = Vec::new();
    for line in typed(kind, text) {
        for command in split(&line) {
            let is_assignment = |word: &String| {
                let name = word.split('=').next().unwrap_or_default();
                name.len() < word.len()
                    && name
                        .chars()
                        .all(|char| char.is_ascii_uppercase() || "_0123456789".contains(char))
            };
            let words: Words = command.into_iter().skip_while(is_assignment).collect();
            if !words.is_empty() {
                commands.push(words);
            }
        }
    }
    commands
}

/// Splits a line into commands, and each command into words.
fn split(line: &str) -> Vec<Words> {
    let mut commands = vec![Words::new()];
    let mut word: Option<String> = None;
    let mut is_redirected = false;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        let mut end_word = |word: &mut Option<String>, commands: &mut Vec<Words>| {
            if let (Some(word), Some(command)) = (word.take(), commands.last_mut())
                && !std::mem::take(&mut is_redirected)
            {
                command.push(word);
            }
        };
        match char {
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                for inner in chars.by_ref().take_while(|inner| *inner != char) {
                    word.push(inner);
                }
            }
            '#' if word.is_none() => break,
            ' ' | '\t' => end_word(&mut word, &mut commands),
            '|' | ';' => {
                end_word(&mut word, &mut commands);
                commands.push(Words::new());
            }
            '&' if chars.next_if_eq(&'&').is_some() => {
                end_word(&mut word, &mut commands);
                commands.push(Words::new());
            }
            '>' | '<' => {
                // `2>`: the number is not a word of the command.
                if word.as_ref().is_some_and(|word| word.parse::<u8>().is_ok()) {
                    word = None;
                }
                end_word(&mut word, &mut commands);
                while chars.next_if(|next| "><&- ".contains(*next)).is_some() {}
                is_redirected = true;
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    if let (Some(word), Some(command)) = (word, commands.last_mut())
        && !is_redirected
    {
        command.push(word);
    }
    commands.retain(|command| !command.is_empty());
    commands
}

#[test]
fn a_line_is_split_into_words_like_in_a_shell() {
    let text =
        "$ A=b gitvolume inject -f 'a b' | kubectl apply -f - 2>&1 >x && echo \"$?\"  # c\nsaid\n";
    let expected = [
        vec!["gitvolume", "inject", "-f", "a b"],
        vec!["kubectl", "apply", "-f", "-"],
        vec!["echo", "$?"],
    ];
    assert_eq!(commands("console", text), expected);
    let text = "make dist \\\n  images\nkubectl apply -f - <<'EOF'\na: b\nEOF\n# c\n";
    let expected = [
        vec!["make", "dist", "images"],
        vec!["kubectl", "apply", "-f", "-"],
    ];
    assert_eq!(commands("sh", text), expected);
}
