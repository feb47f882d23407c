//! The append-only file in the volume at `/data`, by the file system of WASI 0.3, which keeps no
//! other client waiting.

use crate::engine::Engine;
use crate::journal::Replay;
use std::rc::Rc;
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasip3::wit_bindgen::StreamResult;
use wasip3::wit_stream;

const VOLUME: &str = "/data";
const NAME: &str = "appendonly.aof";
const TEMPORARY_NAME: &str = "appendonly.aof.new";
/// Bytes asked for in one read.
const READ_BYTES: usize = 256 * 1024;

pub struct AofFile {
    directory: Rc<Descriptor>,
    file: Rc<Descriptor>,
    length: u64,
}

impl AofFile {
    /// Opens the file, making it if needed; `None` when no volume is mounted.
    pub async fn open() -> Result<Option<Self>, String> {
        let volume = get_directories().into_iter().find(|(_, path)| path == VOLUME);
        let Some((directory, _)) = volume else { return Ok(None) };
        let file = open_at(&directory, NAME, OpenFlags::CREATE).await;
        let file = file.map_err(|code| format!("cannot open {VOLUME}/{NAME}: {code:?}"))?;
        Ok(Some(Self { directory: Rc::new(directory), file: Rc::new(file), length: 0 }))
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads the file back into the engine and cuts off a torn tail; returns how long that was.
    pub async fn load(&mut self, engine: &mut Engine) -> Result<u64, String> {
        let replay = self.replay(engine).await.map_err(|error| format!("{VOLUME}/{NAME}: {error}"))?;
        engine.end_replay();
        self.length = replay.whole();
        if replay.torn() > 0 {
            let cut = self.file.set_size(self.length).await;
            cut.map_err(|code| format!("cannot truncate {VOLUME}/{NAME}: {code:?}"))?;
        }
        Ok(replay.torn())
    }

    async fn replay(&self, engine: &mut Engine) -> Result<Replay, String> {
        let mut replay = Replay::default();
        let mut refused = None;
        let (mut reader, outcome) = self.file.read_via_stream(0);
        let mut buffer = Vec::with_capacity(READ_BYTES);
        loop {
            let (result, piece) = reader.read(buffer).await;
            let apply = |request: Vec<Vec<u8>>| {
                if let (None, Err(error)) = (&refused, engine.replay(&request)) {
                    refused = Some(error);
                }
            };
            replay.feed(&piece, apply).map_err(|error| error.0)?;
            if let Some(error) = refused {
                return Err(format!("{error} (before byte {})", replay.whole()));
            }
            if result == StreamResult::Dropped {
                break;
            }
            buffer = piece;
            buffer.clear();
        }
        drop(reader);
        outcome.await.map_err(|code| format!("{code:?}"))?;
        Ok(replay)
    }

    /// Appends; after an error `bytes` holds what is still to be written.
    pub async fn append(&mut self, bytes: &mut Vec<u8>) -> Result<(), ErrorCode> {
        let total = bytes.len();
        let (mut writer, reader) = wit_stream::new();
        let outcome = self.file.append_via_stream(reader);
        *bytes = writer.write_all(std::mem::take(bytes)).await;
        drop(writer);
        self.length += (total - bytes.len()) as u64;
        outcome.await
    }

    /// After a failed append: cuts off what that may have left behind the part that counts.
    pub async fn repair(&self) -> Result<(), ErrorCode> {
        self.file.set_size(self.length).await
    }

    /// An empty file beside this one.
    pub async fn create_temporary(&self) -> Result<Self, ErrorCode> {
        let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE;
        let file = open_at(&self.directory, TEMPORARY_NAME, flags).await?;
        Ok(Self { directory: Rc::clone(&self.directory), file: Rc::new(file), length: 0 })
    }

    /// Brings the temporary file `new` to the disk and gives it this one's name.
    pub async fn replace_with(&self, new: &Self) -> Result<(), ErrorCode> {
        new.file.sync_data().await?;
        self.directory.rename_at(TEMPORARY_NAME.to_owned(), &self.directory, NAME.to_owned()).await?;
        // The name has to survive a power cut too; not every file system can sync a folder.
        let _ = self.directory.sync().await;
        Ok(())
    }

    /// The file itself, for bringing to the disk what was appended.
    pub fn handle(&self) -> Rc<Descriptor> {
        Rc::clone(&self.file)
    }
}

async fn open_at(directory: &Descriptor, name: &str, flags: OpenFlags) -> Result<Descriptor, ErrorCode> {
    let access = DescriptorFlags::READ | DescriptorFlags::WRITE;
    directory.open_at(PathFlags::empty(), name.to_owned(), flags, access).await
}
