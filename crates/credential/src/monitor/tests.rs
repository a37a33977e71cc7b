use std::convert::Infallible;

use ring::rand::{SecureRandom, SystemRandom};

use super::*;
use crate::{MintError, mint_seen};

/// Draws until the monitor objects, at most `most`; which detector did, and after how many.
fn draws_until_unfit(
    policy: &str,
    most: u64,
    random: &mut dyn FnMut(&mut [u8]),
) -> Option<(&'static str, u64)> {
    let policy = Policy::named(policy, None).unwrap();
    let mut monitor = Monitor::new(&policy);
    let mut fill = |out: &mut [u8]| -> Result<(), Infallible> {
        random(out);
        Ok(())
    };
    let mut found = None;
    while found.is_none() && monitor.draws < most {
        let minted = mint_seen(&policy, &mut fill, &mut |indices| {
            if found.is_none()
                && let Err(unfit) = monitor.drawn(indices)
            {
                found = Some((unfit.detector, monitor.draws));
            }
        });
        if matches!(minted, Err(MintError::Unfit | MintError::Missed { .. })) && found.is_none() {
            found = Some(("mint", monitor.draws));
        }
    }
    found
}

fn system(out: &mut [u8]) {
    SystemRandom::new().fill(out).unwrap();
}

/// The default policy, and the others that are drawn differently.
const SHAPES: [&str; 6] = [
    "uk-psti",
    "de-bsi-03148",
    "br-anatel",
    "sg-cls",
    "homekit",
    "passphrase",
];

#[track_caller]
fn check(fault: &str, within: u64, random: &mut dyn FnMut(&mut [u8])) {
    for policy in SHAPES {
        let found = draws_until_unfit(policy, within, random);
        assert!(found.is_some(), "{fault}, {policy}: {within} draws passed");
    }
}

#[test]
fn a_fair_generator_is_never_called_unfit() {
    for policy in Policy::names() {
        assert_eq!(
            draws_until_unfit(policy, 2_000, &mut system),
            None,
            "{policy}"
        );
    }
}

#[test]
fn a_stuck_generator_is_seen() {
    check("stuck", 6, &mut |out| out.fill(0x5a));
}

#[test]
fn a_counting_generator_is_seen_from_either_end() {
    let mut count = u128::from_be_bytes(*b"some fixed bytes");
    check("counting", 12, &mut |out| {
        count = count.wrapping_add(1);
        let bytes = count.to_be_bytes();
        let last = bytes.iter().rev().cycle().zip(out.iter_mut().rev());
        last.for_each(|(byte, place)| *place = *byte);
    });
    check("counting backwards", 12, &mut |out| {
        count = count.wrapping_sub(3);
        let bytes = count.to_be_bytes();
        let last = bytes.iter().rev().cycle().zip(out.iter_mut());
        last.for_each(|(byte, place)| *place = *byte);
    });
}

#[test]
fn a_repeating_generator_is_seen() {
    let mut blocks = [[0; 40]; 5];
    blocks.iter_mut().for_each(|block| system(block));
    let mut next = 0;
    check("repeating", 20, &mut |out| {
        out.copy_from_slice(&blocks[next % 5][..out.len()]);
        next += 1;
    });
}

#[test]
fn a_biased_generator_is_seen() {
    let mut biased = |out: &mut [u8]| {
        let mut more = vec![0; out.len()];
        system(out);
        system(&mut more);
        out.iter_mut().zip(more).for_each(|(a, b)| *a |= b);
    };
    check("biased", 300, &mut biased);
    assert!(draws_until_unfit("uk-psti", 20, &mut biased).is_some());
}

#[test]
fn a_generator_of_few_values_is_seen() {
    let mut few = |out: &mut [u8]| {
        system(out);
        out.iter_mut()
            .for_each(|byte| *byte = (*byte & 7).wrapping_mul(37));
    };
    check("few values", 300, &mut few);
    assert!(draws_until_unfit("uk-psti", 20, &mut few).is_some());
}

#[test]
fn one_place_that_stands_still_is_seen() {
    let policy = Policy::named("uk-psti", None).unwrap();
    let mut monitor = Monitor::new(&policy);
    let mut unfit = None;
    while unfit.is_none() {
        let mut indices = [0; 12];
        let mut bytes = [0; 12];
        system(&mut bytes);
        let fair = indices.iter_mut().zip(bytes);
        fair.for_each(|(index, byte)| *index = u16::from(byte % 32));
        indices[4] = 9;
        unfit = monitor.drawn(&indices).err();
    }
    assert!(monitor.draws <= 15, "{} draws", monitor.draws);
    let unfit = unfit.unwrap();
    assert_eq!((unfit.detector, unfit.clause), ("biased", GUESSABLE));
}

#[test]
fn a_gate_that_refuses_too_often_is_a_finding() {
    let policy = Policy::named("uk-psti", None).unwrap();
    let mut monitor = Monitor::new(&policy);
    for draw in 0..10_000 {
        monitor.judged(draw % 25 == 0, 0.08).unwrap();
    }
    let mut monitor = Monitor::new(&policy);
    let refused = (0..40).find_map(|_| monitor.judged(true, 0.08).err());
    assert_eq!(refused.unwrap().detector, "refusal rate");
}

/// Answers of 12 and 16 bytes by turns, as an issue asks for them, until the output is unfit.
fn answers_until_unfit(most: u64, random: &mut dyn FnMut(&mut [u8])) -> Option<u64> {
    let mut output = Output::default();
    (1..=most).find(|answer| {
        let mut bytes = vec![0; if answer % 2 == 1 { 12 } else { 16 }];
        random(&mut bytes);
        output.heard(&bytes).is_err()
    })
}

#[test]
fn uneven_bytes_and_bits_are_heard_within_ten_issues() {
    assert_eq!(answers_until_unfit(4_000, &mut system), None);
    let biased = answers_until_unfit(20, &mut |out| {
        let mut more = vec![0; out.len()];
        system(out);
        system(&mut more);
        out.iter_mut().zip(more).for_each(|(a, b)| *a |= b);
    });
    assert!(biased.is_some());
    let few = answers_until_unfit(20, &mut |out| {
        system(out);
        out.iter_mut()
            .for_each(|byte| *byte = (*byte & 7).wrapping_mul(37));
    });
    assert!(few.is_some());
}

#[test]
fn an_answer_that_comes_again_is_heard() {
    let mut output = Output::default();
    let mut answers = vec![[0; 16]; 65];
    for answer in &mut answers {
        system(answer);
        output.heard(answer).unwrap();
    }
    output.heard(&[9; 7]).unwrap();
    output.heard(&[9; 7]).unwrap();
    output.heard(&answers[0]).unwrap();
    let unfit = output.heard(&answers[64]).unwrap_err();
    assert_eq!(
        (unfit.detector, unfit.clause),
        ("repeated output", GUESSABLE)
    );
    // A salt that begins like the password of the same issue: one seed made both.
    assert!(output.heard(&answers[63][..12]).is_err());
    for end in [0, 15] {
        let mut next = answers[64];
        next[end] ^= 1;
        let unfit = output.heard(&next).unwrap_err();
        assert_eq!((unfit.detector, unfit.clause), ("counter", COUNTER));
    }
}

#[test]
fn the_divergence_is_that_of_the_binomial() {
    assert!(divergence(5, 10, 0.5).abs() < f64::EPSILON);
    assert!((divergence(10, 10, 0.5) - 10.0 * 2f64.ln()).abs() < 1e-9);
    assert!((divergence(1, 1, 0.25) - 4f64.ln()).abs() < 1e-9);
    assert!(entropy_missing(&[5, 5], &[0.5, 0.5]).abs() < f64::EPSILON);
    assert!((entropy_missing(&[8, 0], &[0.5, 0.5]) - 8.0 * 2f64.ln()).abs() < 1e-9);
}
