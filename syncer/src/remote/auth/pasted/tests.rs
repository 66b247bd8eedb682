use super::*;

/// A key of `ssh-keygen -t ed25519 -N ''`, generated for this test and used nowhere.
fn key() -> String {
    let mut der = OPENSSH_MAGIC.to_vec();
    der.extend(4_u32.to_be_bytes());
    der.extend(b"none");
    der.extend([7; 200]);
    pem(OPENSSH, &STANDARD.encode(der))
}

fn mended(text: &[u8]) -> String {
    let mended = private_key(text).map_err(KeyProblem::words);
    String::from_utf8(mended.unwrap().into_owned()).unwrap()
}

#[test]
fn a_pasted_key_is_repaired() {
    let key = key();
    assert!(matches!(private_key(key.as_bytes()), Ok(Cow::Borrowed(_))));
    let lines: Vec<&str> = key.lines().collect();
    let body = lines[1..lines.len() - 1].concat();
    let utf16: Vec<u8> = key.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for text in [
        key.trim_end().to_owned(),
        format!("\n\n{key}\n\n"),
        key.replace('\n', "\r\n"),
        key.replace('\n', "\r"),
        key.replace('\n', " "),
        key.replace('\n', ""),
        key.replace('\n', "\\n"),
        key.replace('\n', "\\r\\n"),
        format!("\"{}\"", key.replace('\n', "\\n")),
        format!("'{key}'"),
        key.replace('\n', "\n    "),
        format!("\u{feff}{key}"),
        STANDARD.encode(&key),
        STANDARD.encode(STANDARD.encode(&key)) + "\n",
        STANDARD.encode(key.replace('\n', "\r\n")),
        format!("Here it is:\n{key}"),
        format!("{}\n{body}\n{}\n", lines[0], lines[lines.len() - 1]),
        body,
    ] {
        assert_eq!(mended(text.as_bytes()), key, "{text:?}");
    }
    assert_eq!(mended(&[&[0xff, 0xfe], &utf16[..]].concat()), key);
}

#[test]
fn keys_with_other_pem_labels_stay_unchanged() {
    let der = STANDARD.encode([0x30, 3, 2, 1, 0]);
    for label in &PRIVATE[1..] {
        let key = pem(label, &der);
        assert!(matches!(private_key(key.as_bytes()), Ok(Cow::Borrowed(_))));
        assert_eq!(mended(key.replace('\n', "\r\n").as_bytes()), key);
    }
    // OpenSSL writes the curve first.
    let key = pem("EC PRIVATE KEY", &der);
    let with_curve = pem("EC PARAMETERS", &der) + &key;
    assert!(matches!(
        private_key(with_curve.as_bytes()),
        Ok(Cow::Borrowed(_))
    ));
    assert_eq!(mended(with_curve.replace('\n', "\r\n").as_bytes()), key);
}

#[test]
fn unusable_keys_are_reported() {
    use KeyProblem::*;
    let key = key();
    let der = STANDARD.encode([0x30, 3, 2, 1, 0]);
    let mut encrypted = OPENSSH_MAGIC.to_vec();
    encrypted.extend(10_u32.to_be_bytes());
    encrypted.extend(b"aes256-ctr");
    for (text, problem) in [
        (String::new(), Empty),
        (" \n".to_owned(), Empty),
        (
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here".to_owned(),
            Public,
        ),
        ("ecdsa-sha2-nistp256 AAAA".to_owned(), Public),
        (pem("PUBLIC KEY", &der), Public),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n".to_owned(), Public),
        (STANDARD.encode("ssh-rsa AAAAB3NzaC1yc2E me@here"), Public),
        (
            "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n".to_owned(),
            Putty,
        ),
        (
            "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n".to_owned(),
            SshCom,
        ),
        (pem("CERTIFICATE", &der), Certificate),
        (
            "ssh-ed25519-cert-v01@openssh.com AAAA".to_owned(),
            Certificate,
        ),
        (pem("ENCRYPTED PRIVATE KEY", &der), Passphrase),
        (pem(OPENSSH, &STANDARD.encode(encrypted)), Passphrase),
        (
            format!(
                "{BEGIN}RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\n{der}\n-----END RSA PRIVATE KEY-----\n"
            ),
            Passphrase,
        ),
        (key.lines().take(3).collect::<Vec<_>>().join("\n"), Cut),
        (pem(OPENSSH, ""), Damaged),
        (pem(OPENSSH, "…"), Damaged),
        ("/etc/git-secret/ssh".to_owned(), Unknown),
        ("hunter2".to_owned(), Unknown),
    ] {
        assert_eq!(private_key(text.as_bytes()), Err(problem), "{text}");
    }
}

const HOST: &str =
    "git.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1FqLh4y7ZkV0dJ2sX0ZxwzD0Fh3xk1m7rQkq3h9Q2s";
const OTHER: &str = "[git.example]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1FqLh4y7ZkV0dJ2sX0ZxwzD0Fh3xk1m7rQkq3h9Q2s";

#[test]
fn pasted_host_keys_are_repaired() {
    let file = format!("# git.example:22 SSH-2.0\n{HOST}\n{OTHER}\n");
    assert!(matches!(
        known_hosts(file.as_bytes()),
        Some(Cow::Borrowed(_))
    ));
    let both = format!("{HOST}\n{OTHER}\n");
    for text in [
        both.replace('\n', "\r\n"),
        both.replace('\n', "\\n"),
        both.replace('\n', " "),
        format!("  {HOST}\n  {OTHER}"),
        format!("\"{}\"", both.replace('\n', "\\n")),
        STANDARD.encode(&both),
        format!("\u{feff}{both}"),
    ] {
        let found = known_hosts(text.as_bytes()).unwrap();
        assert_eq!(str::from_utf8(&found).unwrap(), both, "{text:?}");
    }
    for text in [
        "",
        "# nothing\n",
        "ssh-ed25519 AAAA",
        "git.example",
        "x y z",
    ] {
        assert_eq!(known_hosts(text.as_bytes()), None, "{text:?}");
    }
}
