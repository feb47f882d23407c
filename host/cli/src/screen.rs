//! A terminal that is drawn over once a second: no flicker, and as it was before once it is over.
use std::io::{self, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;

use crate::output;

/// Keys that wait to be looked at.
const KEYS_WAITING_MAX: usize = 16;
/// Size that is taken where the terminal does not tell.
const SIZE_DEFAULT: (usize, usize) = (80, 24);

/// The screen beside the shell's own; keys come unseen, and one at a time.
pub struct Screen {
    keyboard: Option<Termios>,
}

impl Screen {
    pub fn open() -> anyhow::Result<Screen> {
        let screen = Screen { keyboard: quiet_keyboard() };
        output::raw(b"\x1b[?1049h\x1b[?25l\x1b[2J")?;
        Ok(screen)
    }

    /// Columns and lines.
    pub fn size() -> (usize, usize) {
        let size = tcgetwinsize(io::stdout()).map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        size.ok().filter(|(columns, lines)| *columns > 0 && *lines > 0).unwrap_or(SIZE_DEFAULT)
    }

    /// Columns; where the output is no terminal there is no bound.
    pub fn width() -> usize {
        if io::stdout().is_terminal() { Screen::size().0 } else { usize::MAX }
    }

    /// Lines that the terminal need not wrap.
    pub fn fitted(lines: &[String]) -> Vec<String> {
        let (columns, _) = Screen::size();
        lines.iter().map(|line| cut(line, columns)).collect()
    }

    /// Draws over what is there in one write, so that no line is ever seen empty.
    pub fn draw(&self, lines: &[String]) -> anyhow::Result<()> {
        output::raw(frame(lines, Screen::size()).as_bytes())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(b"\x1b[?25h\x1b[?1049l").and_then(|()| stdout.flush());
        if let Some(before) = &self.keyboard {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// The bytes that draw these lines, cut to the size: the first of them is the last to go.
fn frame(lines: &[String], (columns, rows): (usize, usize)) -> String {
    let shown: Vec<String> = if lines.len() <= rows {
        lines.iter().map(|line| cut(line, columns)).collect()
    } else {
        let more = format!("… {} more lines", lines.len() + 1 - rows);
        lines[..rows - 1].iter().chain([&more]).map(|line| cut(line, columns)).collect()
    };
    format!("\x1b[?2026h\x1b[H{}\x1b[J\x1b[?2026l", shown.iter().map(|line| format!("{line}\x1b[K")).collect::<Vec<_>>().join("\r\n"))
}

/// At most so many characters; codes that colour take no room.
fn cut(line: &str, columns: usize) -> String {
    let (mut text, mut width, mut in_code, mut coloured) = (String::new(), 0, false, false);
    for c in line.chars() {
        match c {
            '\x1b' => (in_code, coloured) = (true, true),
            _ if in_code => in_code = !c.is_ascii_alphabetic(),
            _ if width == columns => break,
            _ => width += 1,
        }
        text.push(c);
    }
    if coloured {
        text.push_str("\x1b[0m");
    }
    text
}

/// No echo, and no waiting for the end of a line; Ctrl-C stays what it is. `None` where there is no keyboard.
fn quiet_keyboard() -> Option<Termios> {
    let before = tcgetattr(io::stdin()).ok()?;
    let mut modes = before.clone();
    modes.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO);
    tcsetattr(io::stdin(), OptionalActions::Now, &modes).ok()?;
    Some(before)
}

/// Keys as they are pressed. The thread that waits for them ends with the process.
pub fn keys() -> mpsc::Receiver<u8> {
    let (sender, keys) = mpsc::channel(KEYS_WAITING_MAX);
    if io::stdin().is_terminal() {
        std::thread::spawn(move || {
            for key in io::stdin().lock().bytes().map_while(Result::ok) {
                if sender.blocking_send(key).is_err() {
                    return;
                }
            }
        });
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_to_the_width_and_their_colours_end() {
        assert_eq!(cut("abcdef", 3), "abc");
        assert_eq!(cut("ünï", 3), "ünï");
        assert_eq!(cut("\x1b[1mabc\x1b[0mdef", 4), "\x1b[1mabc\x1b[0md\x1b[0m");
        assert_eq!(cut("\x1b[1mabc", 2), "\x1b[1mab\x1b[0m");
    }

    #[test]
    fn a_frame_never_has_more_lines_than_the_screen_and_says_what_is_missing() {
        let lines: Vec<String> = (1..=5).map(|n| n.to_string()).collect();
        let drawn = frame(&lines, (80, 3));
        assert_eq!(drawn, "\x1b[?2026h\x1b[H1\x1b[K\r\n2\x1b[K\r\n… 3 more lines\x1b[K\x1b[J\x1b[?2026l");
        assert_eq!(frame(&lines, (80, 5)).matches("\r\n").count(), 4, "no line is wasted when all fit");
    }
}
