//! Random changes of an input.

use fastrand::Rng;

/// The most changes of one input.
const MOST_CHANGES: usize = 6;

/// The longest part that is removed or repeated at once, in bytes.
const LONGEST_PART: usize = 64;

/// The most repetitions of a part.
const MOST_REPETITIONS: usize = 40;

/// A random change of a random input.
pub(crate) fn mutate(rng: &mut Rng, inputs: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut data = pick(rng, inputs).clone();
    for _ in 0..rng.usize(1..=MOST_CHANGES) {
        let at = rng.usize(0..=data.len());
        let end = at + rng.usize(0..=LONGEST_PART).min(data.len() - at);
        match rng.u8(0..8) {
            0 => drop(data.drain(at..end)),
            1 => {
                let part = data[at..end].repeat(rng.usize(1..=MOST_REPETITIONS));
                data.splice(at..at, part);
            }
            2 | 3 => {
                let word = pick(rng, words).as_bytes();
                // In place of what is there, or before it.
                let end = if rng.bool() { end } else { at };
                data.splice(at..end, word.iter().copied());
            }
            4 => {
                let byte = rng.u8(..);
                data.splice(at..end.min(at + 1), [byte]);
            }
            5 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << rng.u8(0..8);
                }
            }
            6 => data.truncate(at),
            _ => {
                // The end of another input.
                let other = pick(rng, inputs);
                let from = rng.usize(0..=other.len());
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
        }
    }
    data
}

fn pick<'a, T>(rng: &mut Rng, all: &'a [T]) -> &'a T {
    &all[rng.usize(0..all.len())]
}
