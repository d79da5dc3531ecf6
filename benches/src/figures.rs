//! Samples, what is said of them, and the lines in which it is said.

use std::fmt;
use std::time::Duration;

/// Durations of one thing, measured again and again. Never empty.
#[derive(Clone, Debug)]
pub struct Samples {
    sorted: Vec<Duration>,
}

impl Samples {
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn new(mut taken: Vec<Duration>) -> Self {
        assert!(!taken.is_empty(), "no samples");
        taken.sort_unstable();
        Self { sorted: taken }
    }

    /// The middle one.
    #[must_use]
    pub fn median(&self) -> Duration {
        self.at(50)
    }

    /// The greatest one.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.at(100)
    }

    /// The smallest that `percent` of the samples do not exceed.
    fn at(&self, percent: usize) -> Duration {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted[rank - 1]
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, least, p90) = (ms(self.median()), ms(self.at(0)), ms(self.at(90)));
        write!(f, "median {median:8.3} ms  (min {least:.3}, p90 {p90:.3}, n {})", self.sorted.len())
    }
}

/// Takes `rounds` samples of each side, turn by turn; the first round of both warms up and is not counted.
pub fn paired(
    rounds: usize,
    mut a: impl FnMut() -> Duration,
    mut b: impl FnMut() -> Duration,
) -> (Samples, Samples) {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (one, other) = (a(), b());
        if round > 0 {
            of_a.push(one);
            of_b.push(other);
        }
    }
    (Samples::new(of_a), Samples::new(of_b))
}

/// Milliseconds, for reading.
#[must_use]
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Begins the figures of one thing.
pub fn title(text: &str) {
    println!("\n{text}");
}

/// One side of a figure, on a line.
pub fn side(name: &str, said: &dyn fmt::Display) {
    println!("  {name:<44} {said}");
}

/// The ratio of two medians against the most that was promised. True within it.
pub fn ratio(name: &str, ours: &Samples, theirs: &Samples, bound: f64) -> bool {
    let ratio = ours.median().as_secs_f64() / theirs.median().as_secs_f64();
    verdict(name, &format!("{ratio:.2}x"), &format!("{bound}x"), ratio <= bound)
}

/// What one median has over another, against the most that was promised. True within it.
pub fn over(name: &str, ours: &Samples, theirs: &Samples, bound: Duration) -> bool {
    let difference = ms(ours.median()) - ms(theirs.median());
    verdict(name, &format!("{difference:.1} ms"), &format!("{} ms", ms(bound)), difference <= ms(bound))
}

/// A median against the most that was promised. True within it.
pub fn at_most(name: &str, ours: &Samples, bound: Duration) -> bool {
    let median = ours.median();
    verdict(name, &format!("{:.1} ms", ms(median)), &format!("{} ms", ms(bound)), median <= bound)
}

/// A figure against its bound, in a line that can be looked for.
pub fn verdict(name: &str, figure: &str, bound: &str, within: bool) -> bool {
    let word = if within { "PASS" } else { "OVER" };
    println!("  {word}  {name}: {figure} (at most {bound})");
    within
}

/// A figure without a bound.
pub fn note(name: &str, figure: &dyn fmt::Display) {
    println!("        {name}: {figure}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(of: impl IntoIterator<Item = u64>) -> Samples {
        Samples::new(of.into_iter().map(Duration::from_millis).collect())
    }

    #[test]
    fn the_ranks_are_those_of_the_samples_themselves() {
        let one = samples([7]);
        assert_eq!([one.at(0), one.at(50), one.at(90)], [Duration::from_millis(7); 3]);
        let ten = samples((1..=10).rev());
        assert_eq!([0, 50, 90, 100].map(|p| ten.at(p).as_millis()), [1, 5, 9, 10]);
    }

    #[test]
    fn a_bound_is_met_when_it_is_reached_exactly() {
        assert!(ratio("", &samples([3]), &samples([2]), 1.5));
        assert!(!ratio("", &samples([4]), &samples([2]), 1.5));
        assert!(over("", &samples([5]), &samples([2]), Duration::from_millis(3)));
        assert!(!at_most("", &samples([5]), Duration::from_millis(4)));
    }

    #[test]
    fn the_sides_take_turns_and_the_first_of_each_is_not_counted() {
        let order = std::cell::RefCell::new(String::new());
        let (a, b) = paired(
            2,
            || {
                order.borrow_mut().push('a');
                Duration::from_millis(order.borrow().len() as u64)
            },
            || {
                order.borrow_mut().push('b');
                Duration::ZERO
            },
        );
        assert_eq!(*order.borrow(), "ababab");
        assert_eq!((a.at(0).as_millis(), a.sorted.len(), b.sorted.len()), (3, 2, 2));
    }
}
