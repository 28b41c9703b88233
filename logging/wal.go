package logging

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
)

// The format of SQLite's write-ahead log, https://sqlite.org/fileformat2.html#walformat.
const (
	walHeader   = 32
	walMagic    = 0x377f0682 // or one more, by the order of bytes of its checksums
	frameHeader = 24
)

// walMark is how much of a write-ahead log was there when it was looked at.
type walMark struct {
	salt   uint64 // changes when the log begins anew; 0: not looked at yet
	frames int64
}

// errTruncated is what happened to a write-ahead log that has lost some of its
// rows.
var errTruncated = errors.New("the database's write-ahead log was truncated while it was open; rows of the last seconds are missing, and the database may be damaged")

// check returns errTruncated if somebody has cut the log since it was looked at,
// or has cut it and SQLite has written on, behind a hole. Only the writer may call
// it: nothing else of this process writes meanwhile.
func (m *walMark) check(path string) error {
	file, err := os.Open(path) // SQLite has no locks on this one, which closing would undo
	if err != nil {
		return nil
	}
	defer file.Close()
	now, err := readWAL(file)
	if err != nil {
		return nil // another process may begin it anew just now, or the disk fails
	}
	before := *m
	*m = now
	switch {
	case now.frames == holed,
		now.salt == 0 && before.salt != 0, // empty, or without its header
		now.salt == before.salt && now.frames < before.frames:
		*m = walMark{}
		return errTruncated
	}
	return nil
}

// sound tells whether a log's header is whole, by its checksum.
func sound(header [walHeader]byte) bool {
	magic := binary.BigEndian.Uint32(header[:])
	if magic&^1 != walMagic {
		return false
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if magic&1 == 1 {
		order = binary.BigEndian
	}
	var a, b uint32
	for at := 0; at < 24; at += 8 {
		a += order.Uint32(header[at:]) + b
		b += order.Uint32(header[at+4:]) + a
	}
	return a == binary.BigEndian.Uint32(header[24:]) && b == binary.BigEndian.Uint32(header[28:])
}

// holed instead of the number of frames: there are some behind something that is
// none.
const holed = -1

// readWAL counts the frames of a log's present run: those with the salt of its
// header.
func readWAL(file io.ReaderAt) (walMark, error) {
	var header [walHeader]byte
	switch _, err := file.ReadAt(header[:], 0); {
	case errors.Is(err, io.EOF):
		return walMark{}, nil
	case err != nil:
		return walMark{}, err
	}
	if !sound(header) {
		return walMark{}, nil
	}
	mark := walMark{salt: binary.BigEndian.Uint64(header[16:])}
	size := int64(binary.BigEndian.Uint32(header[8:])) + frameHeader
	var frame [frameHeader]byte
	ended := false
	for n := int64(0); ; n++ {
		_, err := file.ReadAt(frame[:], walHeader+n*size)
		if errors.Is(err, io.EOF) {
			return mark, nil
		}
		if err != nil {
			return walMark{}, err
		}
		switch same := binary.BigEndian.Uint64(frame[8:]) == mark.salt; {
		case same && ended:
			mark.frames = holed
			return mark, nil
		case same:
			mark.frames++
		default:
			ended = true
		}
	}
}
