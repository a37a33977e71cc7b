//! Noises for people who do not look: a program for each, or the terminal's bell.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::floor::Sound;
use super::slots::Sounds;

/// A noise that lasts longer is cut off.
const LONGEST: Duration = Duration::from_secs(3);
/// How often one that plays is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Plays one noise at a time; what comes meanwhile is not heard.
pub(super) struct Noise {
    sounds: Sounds,
    player: SyncSender<Vec<String>>,
}

impl Noise {
    pub(super) fn new(sounds: Sounds) -> Noise {
        let (player, wanted) = sync_channel::<Vec<String>>(0);
        // A program that hangs must not hold up anything else.
        thread::spawn(move || wanted.iter().for_each(|command| play(&command)));
        Noise { sounds, player }
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
        let _ = self.player.try_send(command.clone()); // one plays already
        0
    }
}

fn play(command: &[String]) {
    let Some((program, arguments)) = command.split_first() else {
        return;
    };
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Ok(mut child) = started {
        end(&mut child, Instant::now() + LONGEST);
    }
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
    fn a_noise_that_does_not_end_is_cut_off() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        end(&mut child, Instant::now() + 3 * LOOK_EVERY);
        assert!(child.try_wait().unwrap().is_some());
    }
}
