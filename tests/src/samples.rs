//! One figure, measured in several rounds.

/// One value for each round.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds the next round's value.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The middle one, or between the two in the middle.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// The least and the greatest.
    pub fn range(&self) -> (f64, f64) {
        let sorted = self.sorted();
        let end = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        (end(sorted.first()), end(sorted.last()))
    }

    /// Each round's value in relation to the same round's of another: what the machine does to a
    /// round, it does to both.
    pub fn over(&self, other: &Self) -> Self {
        let rounds = self.0.iter().zip(&other.0);
        Self(rounds.map(|(mine, theirs)| mine / theirs).collect())
    }

    /// Each round's value with the same round's of another added.
    pub fn plus(&self, other: &Self) -> Self {
        let rounds = self.0.iter().zip(&other.0);
        Self(rounds.map(|(mine, more)| mine + more).collect())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}
