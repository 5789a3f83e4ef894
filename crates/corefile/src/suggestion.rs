//! Suggestions for misspelled words: edit distance to the known ones.

/// Longer words are not taken for a known one.
const MAX_LEN: usize = 48;

/// The known word that `word` is a misspelling of: at most one edit for each three characters away,
/// and one at least. An edit is a character inserted, removed, replaced, or swapped with the next;
/// case does not count.
pub(crate) fn closest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    if word.len() > MAX_LEN {
        return None;
    }
    let word: Vec<char> = word.to_lowercase().chars().collect();
    let most = (word.len() / 3).max(1);
    let distances = known.iter().map(|known| (edit_distance(&word, known), *known));
    let (distance, closest) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= most && distance < word.len()).then_some(closest)
}

/// The optimal string alignment distance, row by row.
fn edit_distance(word: &[char], known: &str) -> usize {
    let known: Vec<char> = known.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=known.len()).collect();
    for (y, &a) in word.iter().enumerate() {
        let mut next = vec![y + 1];
        for (x, &b) in known.iter().enumerate() {
            let at = |row: &[usize], x: usize| row.get(x).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&row, x) + usize::from(a != b);
            let mut least = replaced.min(at(&row, x + 1) + 1).min(at(&next, x) + 1);
            let swapped = x
                .checked_sub(1)
                .zip(y.checked_sub(1))
                .filter(|&(x1, y1)| known.get(x1) == Some(&a) && word.get(y1) == Some(&b));
            if let Some((x1, _)) = swapped {
                least = least.min(at(&before, x1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 6] = ["cache", "errors", "forward", "force_tcp", "log", "max_fails"];

    #[test]
    fn misspelled_words_are_close_to_the_right_one() {
        for (word, expected) in [
            ("forwrad", Some("forward")),
            ("foward", Some("forward")),
            ("Errors", Some("errors")),
            ("error", Some("errors")),
            ("cahce", Some("cache")),
            ("lgo", Some("log")),
            ("logs", Some("log")),
            ("force-tcp", Some("force_tcp")),
            ("max_fial", Some("max_fails")),
            ("wibble", None),
            ("l", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(closest(word, &KNOWN), expected, "{word}");
        }
        assert_eq!(closest(&"x".repeat(1000), &KNOWN), None);
        assert_eq!(closest("log", &[]), None);
    }

    #[test]
    fn each_edit_counts_once() {
        for (word, known, distance) in [
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("acb", "abc", 1),
            ("axc", "abc", 1),
            ("ab", "abc", 1),
            ("abcd", "abc", 1),
        ] {
            let word: Vec<char> = word.chars().collect();
            assert_eq!(edit_distance(&word, known), distance, "{word:?} {known}");
        }
    }
}
