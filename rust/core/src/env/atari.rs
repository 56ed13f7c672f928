//! Rules of Atari games, the same over every way of reaching an emulator.

use super::{End, Env, EnvError, Episode, ObsMut, Step};

/// Frames of an observation, the oldest first, and the height and width of each.
pub const SHAPE: [usize; 3] = [4, 84, 84];
const STACK: usize = SHAPE[0];
const FRAME_LEN: usize = SHAPE[1] * SHAPE[2];

/// Bytes of an observation.
pub type Screens = [u8; STACK * FRAME_LEN];

/// Emulator of one game.
pub trait Emulator: Send {
    /// Starts a game, writes its first screens and returns the lives. A seed of 0 or more makes what follows repeatable.
    fn reset(&mut self, seed: i32, screens: &mut Screens) -> Result<i32, EnvError>;
    /// Repeats an action for some frames and writes the screens after them.
    fn act(&mut self, action: usize, screens: &mut Screens) -> Result<Acted, EnvError>;
}

/// Outcome of an action, as the emulator tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acted {
    /// The sum of the frames' raw rewards.
    pub points: i32,
    /// True where the game is over.
    pub over: bool,
    /// True where the game was cut at the frame limit.
    pub cut: bool,
    /// Lives that are left.
    pub lives: i32,
}

/// Random numbers of no-ops after lost lives.
pub trait Noops: Send {
    /// Hears of a new game, with its seed where it has one.
    fn new_game(&mut self, seed: Option<u64>) -> Result<(), EnvError>;
    /// Draws the number of no-ops after a lost life.
    fn draw(&mut self) -> Result<usize, EnvError>;
}

/// One game on one emulator.
///
/// Where lost lives cut, the reset after one goes on with the same game, as DQN does: no-ops, then a frame stack that starts anew.
/// Should the game end during those no-ops, a new one is started, and its first step reports the finished one.
pub struct Game {
    emulator: Box<dyn Emulator>,
    noops: Box<dyn Noops>,
    num_actions: usize,
    cuts_at_life_loss: bool,
    lives: i32,
    life_lost: bool,
    blank_frames: usize,
    episode: Episode,
    unreported: Option<Episode>,
}

const NOTHING_PLAYED: Episode = Episode { episode_return: 0.0, length_steps: 0 };

impl Game {
    /// Game with the actions `0..num_actions`; a lost life is terminal where `cuts_at_life_loss`.
    pub fn new(
        emulator: Box<dyn Emulator>,
        noops: Box<dyn Noops>,
        num_actions: usize,
        cuts_at_life_loss: bool,
    ) -> Self {
        Game {
            emulator,
            noops,
            num_actions,
            cuts_at_life_loss,
            lives: 0,
            life_lost: false,
            blank_frames: 0,
            episode: NOTHING_PLAYED,
            unreported: None,
        }
    }

    /// Returns the action where the game has it; ALE's worker thread would never answer another.
    pub fn action(&self, number: i64) -> Result<usize, EnvError> {
        usize::try_from(number).ok().filter(|action| *action < self.num_actions).ok_or_else(|| {
            let last = self.num_actions - 1;
            format!("action {number} does not exist: this game has the actions 0 to {last}").into()
        })
    }

    /// Plays `steps` on the emulators of both games; returns where the two differ, if they do.
    pub fn differs(&mut self, other: &mut Game, steps: usize) -> Result<Option<String>, EnvError> {
        let (mut screens, mut expected) = ([0; size_of::<Screens>()], [0; size_of::<Screens>()]);
        let mut start = Some(1);
        for step in 0..steps {
            if let Some(seed) = start {
                let lives = self.emulator.reset(seed, &mut screens)?;
                if lives != other.emulator.reset(seed, &mut expected)? || screens != expected {
                    return Ok(Some(format!("the starts of games before step {step} differ")));
                }
            }
            let action = step * 7 / 3 % self.num_actions;
            let acted = self.emulator.act(action, &mut screens)?;
            if acted != other.emulator.act(action, &mut expected)? || screens != expected {
                return Ok(Some(format!("step {step} differs")));
            }
            start = (acted.over || acted.cut).then_some(UNSEEDED);
        }
        Ok(None)
    }

    fn new_game(&mut self, seed: Option<u64>, screens: &mut Screens) -> Result<(), EnvError> {
        self.noops.new_game(seed)?;
        let seed = seed.map_or(UNSEEDED, |seed| (seed % (1 << 31)) as i32); // the seeds that ALE holds
        self.lives = self.emulator.reset(seed, screens)?;
        self.life_lost = false;
        self.blank_frames = 0; // the emulator has cleared the stack
        self.episode = NOTHING_PLAYED;
        Ok(())
    }

    fn next_life(&mut self, screens: &mut Screens) -> Result<(), EnvError> {
        for _ in 0..self.noops.draw()? {
            let acted = self.act(0, screens)?;
            if acted.over || acted.cut {
                self.unreported = Some(self.episode);
                return self.new_game(None, screens);
            }
        }
        self.life_lost = false;
        self.blank_frames = STACK - 1;
        self.blank(screens);
        Ok(())
    }

    /// Blacks out the frames of the life before.
    fn blank(&self, screens: &mut Screens) {
        screens[..self.blank_frames * FRAME_LEN].fill(0);
    }

    fn act(&mut self, action: usize, screens: &mut Screens) -> Result<Acted, EnvError> {
        let acted = self.emulator.act(action, screens)?;
        self.episode.episode_return += f64::from(acted.points);
        // A count of 0 is not a lost life: some games show it for a few frames before they are over.
        let fewer = 0 < acted.lives && acted.lives < self.lives;
        self.life_lost = self.cuts_at_life_loss && fewer && !(acted.over || acted.cut);
        self.lives = acted.lives;
        Ok(acted)
    }
}

/// Seed of an emulator that goes on with the random numbers it has.
const UNSEEDED: i32 = -1;

fn screens(obs: ObsMut<'_>) -> Result<&mut Screens, EnvError> {
    let ObsMut::Image(bytes) = obs else { return Err("an Atari game shows images".into()) };
    bytes.try_into().map_err(|_| format!("an Atari game shows images of {SHAPE:?} bytes").into())
}

impl Env<usize> for Game {
    fn reset(&mut self, seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        let screens = screens(obs)?;
        match seed {
            None if self.life_lost => self.next_life(screens),
            _ => self.new_game(seed, screens),
        }
    }

    fn step(&mut self, action: usize, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        let (action, screens) = (self.action(action as i64)?, screens(obs)?);
        let Acted { points, over, cut, .. } = self.act(action, screens)?;
        self.episode.length_steps += 1;
        self.blank_frames = self.blank_frames.saturating_sub(1);
        self.blank(screens);
        let unreported = self.unreported.take();
        let end = match (over || self.life_lost, cut) {
            (true, _) => End::Terminal,
            (false, true) => End::Truncated,
            (false, false) => End::No,
        };
        Ok(Step { reward: points as f32, end, episode: if over || cut { Some(self.episode) } else { unreported } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Emulator that tells what it is given; its frames are grey.
    struct Told(VecDeque<Acted>);

    impl Emulator for Told {
        fn reset(&mut self, _: i32, screens: &mut Screens) -> Result<i32, EnvError> {
            screens.fill(9);
            Ok(3)
        }

        fn act(&mut self, _: usize, screens: &mut Screens) -> Result<Acted, EnvError> {
            screens.fill(9);
            self.0.pop_front().ok_or_else(|| "nothing more is told".into())
        }
    }

    struct TwoNoops;

    impl Noops for TwoNoops {
        fn new_game(&mut self, _: Option<u64>) -> Result<(), EnvError> {
            Ok(())
        }

        fn draw(&mut self) -> Result<usize, EnvError> {
            Ok(2)
        }
    }

    fn going_on(points: i32, lives: i32) -> Acted {
        Acted { points, over: false, cut: false, lives }
    }

    fn over(points: i32) -> Acted {
        Acted { points, over: true, cut: false, lives: 0 }
    }

    fn game(told: &[Acted], cuts_at_life_loss: bool) -> Game {
        Game::new(Box::new(Told(told.iter().copied().collect())), Box::new(TwoNoops), 2, cuts_at_life_loss)
    }

    fn reset(game: &mut Game) {
        game.reset(None, ObsMut::Image(&mut [0; size_of::<Screens>()])).unwrap();
    }

    /// Reward, end and finished game of a step, and how many of its frames are black.
    fn step(game: &mut Game) -> (f32, End, Option<(f64, u64)>, usize) {
        let mut screens = [0; size_of::<Screens>()];
        let step = game.step(1, ObsMut::Image(&mut screens)).unwrap();
        let black = screens.iter().filter(|byte| **byte == 0).count() / FRAME_LEN;
        (step.reward, step.end, step.episode.map(|whole| (whole.episode_return, whole.length_steps)), black)
    }

    #[test]
    fn a_lost_life_is_terminal_and_its_noops_count_in_the_score_alone() {
        let told = [going_on(1, 2), going_on(2, 2), going_on(4, 2), going_on(8, 2), going_on(16, 2), over(32)];
        let mut cut = game(&told, true);
        reset(&mut cut);
        assert_eq!(step(&mut cut), (1.0, End::Terminal, None, 0));
        reset(&mut cut);
        assert_eq!(step(&mut cut), (8.0, End::No, None, 2));
        assert_eq!(step(&mut cut), (16.0, End::No, None, 1));
        assert_eq!(step(&mut cut), (32.0, End::Terminal, Some((63.0, 4)), 0));
        let mut whole = game(&told, false);
        reset(&mut whole);
        assert_eq!(step(&mut whole), (1.0, End::No, None, 0));
    }

    #[test]
    fn a_count_of_no_lives_is_not_a_lost_life() {
        let mut game = game(&[going_on(0, 0), going_on(0, 3), over(0)], true);
        reset(&mut game);
        assert_eq!([step(&mut game).1, step(&mut game).1, step(&mut game).1], [End::No, End::No, End::Terminal]);
    }

    #[test]
    fn a_game_that_ends_during_noops_is_reported_by_the_next_step() {
        let mut game = game(&[going_on(1, 2), over(2), going_on(4, 3), going_on(8, 3)], true);
        reset(&mut game);
        step(&mut game);
        reset(&mut game);
        assert_eq!(step(&mut game), (4.0, End::No, Some((3.0, 1)), 0));
        assert_eq!(step(&mut game), (8.0, End::No, None, 0));
    }

    #[test]
    fn emulators_that_count_lives_otherwise_differ() {
        let told = [going_on(0, 3), over(0), going_on(0, 2)];
        let differs = |other: &[Acted]| game(&told, false).differs(&mut game(other, false), 3).unwrap();
        assert_eq!(differs(&told), None);
        assert_eq!(differs(&[told[0], told[1], going_on(0, 3)]).unwrap(), "step 2 differs");
    }
}
