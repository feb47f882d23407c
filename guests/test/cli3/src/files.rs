//! Files, through streams: those of the volume at /data, and those anywhere.

use crate::run::Outcome;
use guest_common::log;
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wasip3::wit_bindgen::StreamResult;
use wasip3::wit_stream;

const READ_BYTES: usize = 100_000;

/// Copies a file piece by piece.
pub async fn copy(from: &str, to: &str) -> Outcome {
    let source = open(from, OpenFlags::empty(), DescriptorFlags::READ).await?;
    let target = open(to, OpenFlags::CREATE, DescriptorFlags::WRITE).await?;
    let (mut reader, read) = source.read_via_stream(0);
    let (mut writer, data) = wit_stream::new();
    let written = target.write_via_stream(data, 0);
    let (mut buffer, mut total) = (Vec::with_capacity(READ_BYTES), 0);
    loop {
        let (result, piece) = reader.read(buffer).await;
        total += piece.len();
        buffer = writer.write_all(piece).await;
        if !buffer.is_empty() || result == StreamResult::Dropped {
            break;
        }
    }
    drop(writer);
    written.await?;
    read.await?;
    log::line(format_args!("copied {total} bytes"));
    Ok(())
}

/// Appends a file to another one, and sees nothing of it.
pub async fn append(from: &str, to: &str) -> Outcome {
    let source = open(from, OpenFlags::empty(), DescriptorFlags::READ).await?;
    let target = open(to, OpenFlags::CREATE, DescriptorFlags::WRITE).await?;
    let (reader, read) = source.read_via_stream(0);
    target.append_via_stream(reader).await?;
    read.await?;
    log::line("appended");
    Ok(())
}

async fn open(path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, Box<dyn std::error::Error>> {
    let (volume, _) = get_directories().into_iter().find(|(_, path)| path == "/data").ok_or("there is no volume at /data")?;
    Ok(volume.open_at(PathFlags::empty(), path.to_owned(), how, flags).await?)
}

pub async fn cat(path: &str) -> Outcome {
    let file = find(path, OpenFlags::empty(), DescriptorFlags::READ).await?;
    let (content, outcome) = file.read_via_stream(0);
    let content = String::from_utf8(content.collect().await)?;
    outcome.await.map_err(|code| format!("cannot read {path}: {code:?}"))?;
    content.lines().for_each(log::line);
    Ok(())
}

/// Writes a line in place of what the file held.
pub async fn write(path: &str, text: &str) -> Outcome {
    let file = find(path, OpenFlags::CREATE | OpenFlags::TRUNCATE, DescriptorFlags::WRITE).await?;
    let (mut writer, data) = wit_stream::new();
    let written = file.write_via_stream(data, 0);
    writer.write_all(format!("{text}\n").into_bytes()).await;
    drop(writer);
    written.await.map_err(|code| format!("cannot write {path}: {code:?}").into())
}

/// By its path alone.
pub async fn size(path: &str) -> Outcome {
    let (folder, rest) = folder_of(path)?;
    let found = folder.stat_at(PathFlags::empty(), rest).await;
    log::line(format_args!("{} bytes", found.map_err(|code| format!("cannot look at {path}: {code:?}"))?.size));
    Ok(())
}

pub async fn list(path: &str) -> Outcome {
    let folder = find(path, OpenFlags::DIRECTORY, DescriptorFlags::READ).await?;
    let (entries, outcome) = folder.read_directory();
    for entry in entries.collect().await {
        log::line(entry.name);
    }
    outcome.await.map_err(|code| format!("cannot list {path}: {code:?}").into())
}

async fn find(path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, Box<dyn std::error::Error>> {
    let (folder, rest) = folder_of(path)?;
    let opened = folder.open_at(PathFlags::empty(), rest, how, flags).await;
    opened.map_err(|code| format!("cannot open {path}: {code:?}").into())
}

/// The preopened folder that shares most of the path, and the rest of it.
fn folder_of(path: &str) -> Result<(Descriptor, String), Box<dyn std::error::Error>> {
    let below = |folder: &str| {
        let rest = path.strip_prefix(folder.trim_end_matches('/'))?;
        if rest.is_empty() { Some(".".to_owned()) } else { rest.strip_prefix('/').map(str::to_owned) }
    };
    let mut folders: Vec<_> = get_directories().into_iter().filter_map(|(folder, at)| Some((at.len(), folder, below(&at)?))).collect();
    folders.sort_by_key(|(length, ..)| *length);
    let (_, folder, rest) = folders.pop().ok_or_else(|| format!("no folder holds {path}"))?;
    Ok((folder, if rest.is_empty() { ".".to_owned() } else { rest }))
}
