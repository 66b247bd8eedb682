//! git's protocol version 2 (gitprotocol-v2).

/// A request: a command, and lines that it takes.
pub fn request(command: &str, arguments: &[&str]) -> Vec<u8> {
    let packet = |line: &str| format!("{:04x}{line}\n", line.len() + 5);
    let mut text = packet(&format!("command={command}")) + "0001";
    for argument in arguments {
        text += &packet(argument);
    }
    (text + "0000").into_bytes()
}
