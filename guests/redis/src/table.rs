//! The command table, sorted by name.

use crate::command::{Access, KeyPositions, Run, Spec};
use crate::commands::{
    connection, counters, expiry, hashes, info, introspection, keys, lists, pubsub, server, set, sets, strings, transactions, zadd, zrange,
    zsets,
};

const NONE: KeyPositions = KeyPositions(0, 0, 0);
const ONE: KeyPositions = KeyPositions(1, 1, 1);
const ALL: KeyPositions = KeyPositions(1, -1, 1);
const EVERY_SECOND: KeyPositions = KeyPositions(1, -1, 2);

macro_rules! table {
    ($($name:literal $arity:literal $access:ident $keys:ident $group:literal $kind:ident $run:path, $summary:literal;)*) => {
        &[$(Spec {
            name: $name,
            arity: $arity,
            access: Access::$access,
            keys: $keys,
            group: $group,
            summary: $summary,
            run: Run::$kind($run),
        }),*]
    };
}

/// Every command there is. Arity as in Redis: words with the name, negative for "at least".
#[rustfmt::skip]
pub static TABLE: &[Spec] = table![
    "append" 3 Write ONE "string" Keys strings::append, "Appends to a string.";
    "auth" -2 Server NONE "connection" Server connection::auth, "Authenticates the connection.";
    "bgrewriteaof" 1 Server NONE "server" Server server::bgrewriteaof, "Writes the append-only file anew, in the background.";
    "bgsave" -1 Server NONE "server" Server server::bgsave, "Brings all writes to the disk, in the background.";
    "client" -2 Server NONE "connection" Server connection::client, "Tells about and manages connections.";
    "command" -1 Server NONE "server" Server introspection::command, "Tells about commands.";
    "config" -2 Server NONE "server" Server server::config, "Reads and changes settings.";
    "dbsize" 1 Read NONE "server" Keys keys::dbsize, "Counts the keys.";
    "decr" 2 Write ONE "string" Keys counters::decr, "Takes one from a number.";
    "decrby" 3 Write ONE "string" Keys counters::decrby, "Takes from a number.";
    "del" -2 Free ALL "generic" Keys keys::del, "Removes keys.";
    "discard" 1 Transaction NONE "transactions" Server transactions::discard, "Gives up a transaction.";
    "echo" 2 Server NONE "connection" Server connection::echo, "Answers with its argument.";
    "exec" 1 Transaction NONE "transactions" Server transactions::exec, "Runs a transaction.";
    "exists" -2 Read ALL "generic" Keys keys::exists, "Counts which keys are there.";
    "expire" -3 Free ONE "generic" Keys expiry::expire, "Lets a key go after some seconds.";
    "expireat" -3 Free ONE "generic" Keys expiry::expireat, "Lets a key go at a Unix second.";
    "expiretime" 2 Read ONE "generic" Keys expiry::expiretime, "Tells at which Unix second a key goes.";
    "flushall" -1 Free NONE "server" Server server::flushall, "Removes all keys of all databases.";
    "flushdb" -1 Free NONE "server" Keys keys::flushdb, "Removes all keys of the database.";
    "get" 2 Read ONE "string" Keys strings::get, "Reads a string.";
    "getdel" 2 Free ONE "string" Keys strings::getdel, "Reads a string and removes it.";
    "getset" 3 Write ONE "string" Keys set::getset, "Sets a string and answers with the one before.";
    "hdel" -3 Free ONE "hash" Keys hashes::hdel, "Removes fields of a hash.";
    "hello" -1 Server NONE "connection" Server connection::hello, "Chooses the protocol.";
    "hexists" 3 Read ONE "hash" Keys hashes::hexists, "Tells whether a hash has a field.";
    "hget" 3 Read ONE "hash" Keys hashes::hget, "Reads a field of a hash.";
    "hgetall" 2 Read ONE "hash" Keys hashes::hgetall, "Reads all fields of a hash.";
    "hincrby" 4 Write ONE "hash" Keys hashes::hincrby, "Adds to a number in a hash.";
    "hincrbyfloat" 4 Write ONE "hash" Keys hashes::hincrbyfloat, "Adds to a decimal number in a hash.";
    "hkeys" 2 Read ONE "hash" Keys hashes::hkeys, "Names the fields of a hash.";
    "hlen" 2 Read ONE "hash" Keys hashes::hlen, "Counts the fields of a hash.";
    "hmget" -3 Read ONE "hash" Keys hashes::hmget, "Reads fields of a hash.";
    "hmset" -4 Write ONE "hash" Keys hashes::hmset, "Sets fields of a hash.";
    "hset" -4 Write ONE "hash" Keys hashes::hset, "Sets fields of a hash.";
    "hsetnx" 4 Write ONE "hash" Keys hashes::hsetnx, "Sets a field of a hash that is not there.";
    "hvals" 2 Read ONE "hash" Keys hashes::hvals, "Reads the values of a hash.";
    "incr" 2 Write ONE "string" Keys counters::incr, "Adds one to a number.";
    "incrby" 3 Write ONE "string" Keys counters::incrby, "Adds to a number.";
    "incrbyfloat" 3 Write ONE "string" Keys counters::incrbyfloat, "Adds to a decimal number.";
    "info" -1 Server NONE "server" Server info::info, "Tells about the server.";
    "keys" 2 Read NONE "generic" Keys keys::keys, "Names the keys that match a pattern.";
    "lastsave" 1 Server NONE "server" Server server::lastsave, "Tells when writes last reached the disk.";
    "llen" 2 Read ONE "list" Keys lists::llen, "Counts the elements of a list.";
    "lpop" -2 Free ONE "list" Keys lists::lpop, "Takes elements off the front of a list.";
    "lpush" -3 Write ONE "list" Keys lists::lpush, "Puts elements at the front of a list.";
    "lrange" 4 Read ONE "list" Keys lists::lrange, "Reads a part of a list.";
    "mget" -2 Read ALL "string" Keys strings::mget, "Reads strings.";
    "mset" -3 Write EVERY_SECOND "string" Keys strings::mset, "Sets strings.";
    "multi" 1 Transaction NONE "transactions" Server transactions::multi, "Begins a transaction.";
    "persist" 2 Free ONE "generic" Keys expiry::persist, "Lets a key stay.";
    "pexpire" -3 Free ONE "generic" Keys expiry::pexpire, "Lets a key go after some milliseconds.";
    "pexpireat" -3 Free ONE "generic" Keys expiry::pexpireat, "Lets a key go at a Unix millisecond.";
    "pexpiretime" 2 Read ONE "generic" Keys expiry::pexpiretime, "Tells at which Unix millisecond a key goes.";
    "ping" -1 Server NONE "connection" Server connection::ping, "Answers.";
    "psetex" 4 Write ONE "string" Keys set::psetex, "Sets a string that goes after some milliseconds.";
    "psubscribe" -2 Subscription NONE "pubsub" Server pubsub::psubscribe, "Listens to channels by pattern.";
    "pttl" 2 Read ONE "generic" Keys expiry::pttl, "Tells in how many milliseconds a key goes.";
    "publish" 3 Server NONE "pubsub" Server pubsub::publish, "Sends a message to a channel.";
    "pubsub" -2 Server NONE "pubsub" Server pubsub::pubsub, "Tells about channels.";
    "punsubscribe" -1 Subscription NONE "pubsub" Server pubsub::punsubscribe, "Stops listening by pattern.";
    "quit" -1 Transaction NONE "connection" Server connection::quit, "Ends the connection.";
    "reset" 1 Transaction NONE "connection" Server connection::reset, "Makes the connection as new.";
    "rpop" -2 Free ONE "list" Keys lists::rpop, "Takes elements off the end of a list.";
    "rpush" -3 Write ONE "list" Keys lists::rpush, "Puts elements at the end of a list.";
    "sadd" -3 Write ONE "set" Keys sets::sadd, "Adds members to a set.";
    "save" 1 Server NONE "server" Server server::save, "Brings all writes to the disk.";
    "scan" -2 Read NONE "generic" Keys keys::scan, "Walks over the keys.";
    "scard" 2 Read ONE "set" Keys sets::scard, "Counts the members of a set.";
    "select" 2 Server NONE "connection" Server connection::select, "Chooses the database.";
    "set" -3 Write ONE "string" Keys set::set, "Sets a string.";
    "setex" 4 Write ONE "string" Keys set::setex, "Sets a string that goes after some seconds.";
    "setnx" 3 Write ONE "string" Keys set::setnx, "Sets a string that is not there.";
    "sismember" 3 Read ONE "set" Keys sets::sismember, "Tells whether a set has a member.";
    "smembers" 2 Read ONE "set" Keys sets::smembers, "Reads the members of a set.";
    "spop" -2 Free ONE "set" Keys sets::spop, "Takes members out of a set.";
    "srem" -3 Free ONE "set" Keys sets::srem, "Removes members of a set.";
    "strlen" 2 Read ONE "string" Keys strings::strlen, "Tells the length of a string.";
    "subscribe" -2 Subscription NONE "pubsub" Server pubsub::subscribe, "Listens to channels.";
    "time" 1 Server NONE "server" Server server::time, "Tells the time.";
    "ttl" 2 Read ONE "generic" Keys expiry::ttl, "Tells in how many seconds a key goes.";
    "type" 2 Read ONE "generic" Keys keys::type_of, "Tells what kind of value a key holds.";
    "unlink" -2 Free ALL "generic" Keys keys::del, "Removes keys.";
    "unsubscribe" -1 Subscription NONE "pubsub" Server pubsub::unsubscribe, "Stops listening.";
    "unwatch" 1 Server NONE "transactions" Server transactions::unwatch, "Forgets the watched keys.";
    "watch" -2 Transaction ALL "transactions" Server transactions::watch, "Makes the next transaction depend on keys.";
    "zadd" -4 Write ONE "sorted-set" Keys zadd::zadd, "Adds members to a sorted set.";
    "zcard" 2 Read ONE "sorted-set" Keys zsets::zcard, "Counts the members of a sorted set.";
    "zincrby" 4 Write ONE "sorted-set" Keys zadd::zincrby, "Adds to a score in a sorted set.";
    "zpopmax" -2 Free ONE "sorted-set" Keys zsets::zpopmax, "Takes the highest members off a sorted set.";
    "zpopmin" -2 Free ONE "sorted-set" Keys zsets::zpopmin, "Takes the lowest members off a sorted set.";
    "zrange" -4 Read ONE "sorted-set" Keys zrange::zrange, "Reads a part of a sorted set.";
    "zrem" -3 Free ONE "sorted-set" Keys zsets::zrem, "Removes members of a sorted set.";
    "zscore" 3 Read ONE "sorted-set" Keys zsets::zscore, "Reads a score of a sorted set.";
];
