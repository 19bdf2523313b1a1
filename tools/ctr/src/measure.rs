//! What predictions are worth.

/// Area under the curve of true against false positives: how often a click is predicted above what is
/// none, a tie counting half. 0.5 where there is but one kind of label.
pub fn auc(logits: &[f32], labels: &[f32]) -> f64 {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_unstable_by(|one, two| logits[*one].total_cmp(&logits[*two]));
    let (mut clicks, mut others, mut above) = (0.0, 0.0, 0.0);
    for tie in order.chunk_by(|one, two| logits[*one] == logits[*two]) {
        let clicked = tie.iter().filter(|at| labels[**at] > 0.5).count() as f64;
        let other = tie.len() as f64 - clicked;
        above += clicked * (others + other / 2.0);
        clicks += clicked;
        others += other;
    }
    match clicks * others > 0.0 {
        true => above / (clicks * others),
        false => 0.5,
    }
}

/// Mean of the negative logarithm of the probability that a label was given.
pub fn log_loss(logits: &[f32], labels: &[f32]) -> f64 {
    let losses = logits.iter().zip(labels).map(|(logit, label)| {
        let against = f64::from(if *label > 0.5 { -logit } else { *logit });
        // ln(1 + e^x) without e of a large number.
        against.max(0.0) + (-against.abs()).exp().ln_1p()
    });
    losses.sum::<f64>() / logits.len().max(1) as f64
}

/// Mean, 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    let sum = values.iter().fold(0.0, |sum, value| sum + value);
    sum / values.len().max(1) as f64
}

/// Mean, and deviation of a sample of one less degree of freedom (0 for one value).
pub fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_counts_pairs_and_halves_ties() {
        assert_eq!(auc(&[0.1, 0.2, 0.8, 0.9], &[0.0, 0.0, 1.0, 1.0]), 1.0);
        assert_eq!(auc(&[0.9, 0.8, 0.2, 0.1], &[0.0, 0.0, 1.0, 1.0]), 0.0);
        assert_eq!(auc(&[5.0; 4], &[0.0, 1.0, 0.0, 1.0]), 0.5);
        // Pairs: (1, 0) above, (1, 1) tied, (2, 0) above, (2, 1) above.
        assert_eq!(auc(&[0.0, 1.0, 1.0, 2.0], &[0.0, 0.0, 1.0, 1.0]), 0.875);
        assert_eq!(auc(&[1.0, 2.0], &[1.0, 1.0]), 0.5);
    }

    #[test]
    fn log_loss_of_known_probabilities() {
        assert!((log_loss(&[0.0], &[1.0]) - 2f64.ln()).abs() < 1e-12);
        let three_quarters = 3f32.ln();
        let expected = -(0.75f64.ln() + 0.25f64.ln()) / 2.0;
        let found = log_loss(&[three_quarters, three_quarters], &[1.0, 0.0]);
        assert!((found - expected).abs() < 1e-6);
        assert_eq!(log_loss(&[-1000.0], &[1.0]), 1000.0);
    }

    #[test]
    fn deviation_is_a_samples() {
        assert_eq!(mean_and_deviation(&[1.0, 3.0]), (2.0, 2f64.sqrt()));
        assert_eq!(mean_and_deviation(&[4.0]), (4.0, 0.0));
        assert!(mean(&[]).is_sign_positive());
    }
}
