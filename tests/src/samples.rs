//! Statistics of one quantity, measured in several rounds.

/// One value per round.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// The value of a single round.
    pub fn of(value: f64) -> Self {
        Self(vec![value])
    }

    /// Adds the value of the next round.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The median; the mean of the two middle values for an even number.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// The minimum and the maximum.
    pub fn range(&self) -> (f64, f64) {
        let sorted = self.sorted();
        let end = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        (end(sorted.first()), end(sorted.last()))
    }

    /// The ratio of each round's value to the same round's value of another quantity: noise of the
    /// machine affects both.
    pub fn over(&self, other: &Self) -> Self {
        let rounds = self.0.iter().zip(&other.0);
        Self(rounds.map(|(mine, theirs)| mine / theirs).collect())
    }

    /// The sum of each round's value and the same round's value of another quantity.
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
