use std::time::SystemTime;

use super::*;

fn open(dir: &Path, limit: u64) -> io::Result<Store> {
    Store::open(dir, limit, Arc::default())
}

fn put(store: &Store, number: u8, content: &[u8]) {
    let mut spool = store.begin().unwrap();
    for part in content.chunks(1000) {
        store.write(&mut spool, part).unwrap();
    }
    store.keep(spool, Key([number; 32]));
}

async fn get(store: &Store, number: u8) -> Option<Vec<u8>> {
    let stored = store.get(Key([number; 32]))?;
    let mut content = Vec::new();
    while (content.len() as u64) < stored.length {
        let part = stored.file.read(content.len() as u64, stored.length).await;
        content.extend(part.unwrap());
    }
    Some(content)
}

#[tokio::test]
async fn an_answer_is_kept_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..200_000).map(|it| it as u8).collect();
    let store = open(dir.path(), 1 << 20).unwrap();
    put(&store, 1, &content);
    assert_eq!(get(&store, 1).await.as_ref(), Some(&content));
    assert!(open(dir.path(), 1 << 20).is_err(), "a second process");
    drop(store);
    let store = open(dir.path(), 1 << 20).unwrap();
    assert_eq!(get(&store, 1).await, Some(content));
    assert_eq!(get(&store, 2).await, None);
}

#[tokio::test]
async fn a_partial_answer_is_never_served_and_removed_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20).unwrap();
    let mut spool = store.begin().unwrap();
    store.write(&mut spool, b"partial").unwrap();
    let spooled = spool.path.clone();
    // As after a kill: nothing cleans up.
    std::mem::forget(spool);
    fs::copy(&spooled, store.path(Key([3; 32]))).unwrap();
    drop(store);
    let store = open(dir.path(), 1 << 20).unwrap();
    assert!(!spooled.exists());
    assert_eq!(get(&store, 3).await, None);
    assert!(!store.path(Key([3; 32])).exists());
}

#[tokio::test]
async fn a_damaged_answer_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20).unwrap();
    for at in [0, 8, 20, 48, 52] {
        put(&store, 1, b"content");
        assert!(get(&store, 1).await.is_some());
        let path = store.path(Key([1; 32]));
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(get(&store, 1).await, None, "{at}");
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn the_answers_used_least_recently_are_removed_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 3_500).unwrap();
    for number in 1..=3 {
        put(&store, number, &[number; 1000]);
    }
    assert!(get(&store, 1).await.is_some());
    put(&store, 4, &[4; 1000]);
    for (number, expected) in [(1, true), (2, false), (3, true), (4, true)] {
        assert_eq!(get(&store, number).await.is_some(), expected, "{number}");
    }
    let mut spool = store.begin().unwrap();
    assert!(store.write(&mut spool, &[0; 4000]).is_err());
    // The next process goes by the times of the files, which the kernel counts in steps.
    for number in [1, 3] {
        let path = store.path(Key([number; 32]));
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    drop(store);
    let store = open(dir.path(), 1_500).unwrap();
    assert!(get(&store, 4).await.is_some() && get(&store, 3).await.is_none());
}
