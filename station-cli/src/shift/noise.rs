//! Noises for people who do not look: a program for each, or the terminal's bell.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::floor::Sound;
use super::slots::Sounds;

/// A noise that lasts longer is cut off.
const LONGEST: Duration = Duration::from_secs(3);
/// How often one that plays is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Noises that wait for the one that plays; more would only tell of the past.
const WAITING: usize = 4;

/// Plays one noise after the other.
pub(super) struct Noise {
    sounds: Sounds,
    player: SyncSender<(Vec<String>, usize)>,
    /// Rings in place of noises that could not be played.
    missed: Arc<AtomicUsize>,
}

impl Noise {
    pub(super) fn new(sounds: Sounds) -> Noise {
        let (player, wanted) = sync_channel::<(Vec<String>, usize)>(WAITING);
        let missed = Arc::new(AtomicUsize::new(0));
        let miss = Arc::clone(&missed);
        // A program that hangs must not hold up anything else.
        thread::spawn(move || {
            wanted.into_iter().for_each(|one| play_or_miss(&one, &miss));
        });
        Noise {
            sounds,
            player,
            missed,
        }
    }

    /// How often to ring for a noise whose program does not start.
    pub(super) fn missed(&self) -> usize {
        self.missed.swap(0, Ordering::Relaxed)
    }

    /// Makes a noise; gives how often to ring when no program is named for it.
    pub(super) fn make(&self, sound: Sound) -> usize {
        let (command, rings) = match sound {
            Sound::Pass => (&self.sounds.pass, 1),
            Sound::Fail => (&self.sounds.fail, 2),
            Sound::Action => (&self.sounds.action, 3),
        };
        if command.is_empty() {
            return rings;
        }
        match self.player.try_send((command.clone(), rings)) {
            Ok(()) => 0,
            Err(_) => rings,
        }
    }
}

fn play_or_miss((command, rings): &(Vec<String>, usize), missed: &AtomicUsize) {
    if !play(command) {
        missed.store(*rings, Ordering::Relaxed);
    }
}

/// Whether it could be started.
fn play(command: &[String]) -> bool {
    let Some((program, arguments)) = command.split_first() else {
        return false;
    };
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else { return false };
    end(&mut child, Instant::now() + LONGEST);
    true
}

fn end(child: &mut Child, by: Instant) {
    while Instant::now() < by {
        match child.try_wait() {
            Ok(None) => thread::sleep(LOOK_EVERY),
            Ok(Some(_)) | Err(_) => return,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_program_the_bell_tells_pass_from_fail() {
        let noise = Noise::new(Sounds::default());
        let rings = [Sound::Pass, Sound::Fail, Sound::Action].map(|sound| noise.make(sound));
        assert_eq!(rings, [1, 2, 3]);
    }

    #[test]
    fn where_the_program_does_not_start_the_bell_rings() {
        let noise = Noise::new(Sounds::default());
        play_or_miss(&(vec!["no-such-player".to_owned()], 2), &noise.missed);
        assert_eq!((noise.missed(), noise.missed()), (2, 0), "once");
        play_or_miss(&(vec!["true".to_owned()], 2), &noise.missed);
        assert_eq!(noise.missed(), 0);
    }

    #[test]
    fn a_noise_that_does_not_end_is_cut_off() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        end(&mut child, Instant::now() + 3 * LOOK_EVERY);
        assert!(child.try_wait().unwrap().is_some());
    }
}
