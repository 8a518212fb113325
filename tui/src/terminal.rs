//! The terminal: taken on entry, given back on every way out.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};
use std::thread::{self, ThreadId};

use crossterm::event::{DisableMouseCapture, EnableMouseCapture};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use crate::Error;
use crate::model::Model;
use crate::view;

type Backend = CrosstermBackend<BufWriter<Stdout>>;

/// Bytes of a full screen in colour, so that a frame is one write.
const FRAME_BYTES: usize = 64 * 1024;

static TAKEN: AtomicBool = AtomicBool::new(false);
static PANICKED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();
/// The thread that draws, and what other threads reported by panicking while the screen was taken.
static REPORTS: Mutex<(Option<ThreadId>, Vec<String>)> = Mutex::new((None, Vec::new()));

/// The screen while it is ours; dropping it gives it back.
pub struct Screen {
    terminal: Terminal<Backend>,
    mouse: bool,
}

impl Screen {
    /// Takes the terminal: raw mode, alternate screen, no cursor.
    pub fn enter(mouse: bool) -> Result<Screen, Error> {
        if !io::stdin().is_terminal() {
            return Err(Error::NoTerminal { stream: "input" });
        }
        if !io::stdout().is_terminal() {
            return Err(Error::NoTerminal { stream: "output" });
        }
        install_hook();
        let writer = BufWriter::with_capacity(FRAME_BYTES, io::stdout());
        let terminal = Terminal::new(CrosstermBackend::new(writer))?;
        let mut screen = Screen { terminal, mouse };
        screen.take()?;
        Ok(screen)
    }

    /// Takes the terminal again after [`Screen::leave`], and forgets what was drawn.
    pub fn take(&mut self) -> Result<(), Error> {
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        if self.mouse {
            execute!(io::stdout(), EnableMouseCapture)?;
        }
        self.terminal.clear()?;
        Ok(())
    }

    /// Gives the terminal back, for a while.
    pub fn leave(&mut self) {
        restore();
    }

    /// Forgets what was drawn, so that the next frame is drawn whole.
    pub fn redraw(&mut self) -> Result<(), Error> {
        self.terminal.clear()?;
        Ok(())
    }

    /// Draws one frame.
    pub fn draw(&mut self, model: &Model) -> Result<(), Error> {
        self.terminal.draw(|frame| view::view(model, frame))?;
        Ok(())
    }

    /// Columns and rows.
    pub fn size(&self) -> Result<(u16, u16), Error> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
        // What ratatui still buffers would land on the user's own screen: nothing is left after a flush.
        let _ = io::Write::flush(self.terminal.backend_mut());
        let reports = REPORTS.lock().map(|mut reports| std::mem::take(&mut reports.1)).unwrap_or_default();
        for report in reports {
            let _ = writeln!(io::stderr(), "{report}");
        }
    }
}

/// Whether the drawing thread panicked, in a task of its own included.
pub fn panicked() -> bool {
    PANICKED.load(Ordering::SeqCst)
}

fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = execute!(out, DisableMouseCapture, LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
        let _ = out.flush();
    }
}

/// On the drawing thread a panic gives the terminal back before it is reported. On any other thread the report waits
/// until the screen is given back, since it would only be drawn over.
fn install_hook() {
    PANICKED.store(false, Ordering::SeqCst);
    if let Ok(mut reports) = REPORTS.lock() {
        reports.0 = Some(thread::current().id());
    }
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let drawing =
                REPORTS.try_lock().map_or(true, |reports| reports.0 == Some(thread::current().id()));
            if drawing {
                PANICKED.store(true, Ordering::SeqCst);
                restore();
                previous(info);
            } else if TAKEN.load(Ordering::SeqCst) {
                if let Ok(mut reports) = REPORTS.lock() {
                    reports.1.push(info.to_string());
                }
            } else {
                previous(info);
            }
        }));
    });
}
