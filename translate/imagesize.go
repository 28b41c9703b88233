package translate

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
)

// imageHeader is how much of a file is decoded to find its size. JPEG may put
// metadata before it, so it is more than the other formats need.
const imageHeader = 24 << 10

// fileKind is what the content of an attached file is.
type fileKind uint8

const (
	unknownFile fileKind = iota
	imageFile
	pdfFile
)

// sniffFile tells what a file in base64 is, and the size of an image in pixels
// if its header tells it, else 0.
func sniffFile(encoded []byte) (kind fileKind, width, height int) {
	var buffer [imageHeader]byte
	head := encoded[:min(len(encoded), base64.StdEncoding.EncodedLen(imageHeader))]
	head = head[:len(head)/4*4]
	n, _ := base64.StdEncoding.Decode(buffer[:], head) // what was decoded before an error is enough
	return sniffBytes(buffer[:n])
}

func sniffBytes(b []byte) (kind fileKind, width, height int) {
	switch {
	case bytes.HasPrefix(b, []byte("%PDF")):
		return pdfFile, 0, 0
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		if len(b) >= 24 {
			width, height = int(binary.BigEndian.Uint32(b[16:])), int(binary.BigEndian.Uint32(b[20:]))
		}
	case bytes.HasPrefix(b, []byte("GIF8")):
		if len(b) >= 10 {
			width, height = int(binary.LittleEndian.Uint16(b[6:])), int(binary.LittleEndian.Uint16(b[8:]))
		}
	case bytes.HasPrefix(b, []byte("\xFF\xD8\xFF")):
		width, height = jpegSize(b)
	case len(b) >= 30 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP":
		width, height = webPSize(b)
	default:
		return unknownFile, 0, 0
	}
	return imageFile, width, height
}

// jpegSize finds the frame header among the segments of a JPEG file (ITU T.81,
// annex B).
func jpegSize(b []byte) (width, height int) {
	for i := 2; i+9 <= len(b) && b[i] == 0xFF; {
		marker := b[i+1]
		if marker == 0xFF { // fill byte
			i++
			continue
		}
		frame := marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC
		if frame {
			return int(binary.BigEndian.Uint16(b[i+7:])), int(binary.BigEndian.Uint16(b[i+5:]))
		}
		i += 2 + int(binary.BigEndian.Uint16(b[i+2:]))
	}
	return 0, 0
}

// webPSize reads the three forms of a WebP file (RFC 9649): lossy, lossless,
// extended. b has at least 30 bytes.
func webPSize(b []byte) (width, height int) {
	switch string(b[12:16]) {
	case "VP8 ":
		return int(binary.LittleEndian.Uint16(b[26:])) & 0x3FFF, int(binary.LittleEndian.Uint16(b[28:])) & 0x3FFF
	case "VP8L":
		bits := binary.LittleEndian.Uint32(b[21:])
		return int(bits&0x3FFF) + 1, int(bits>>14&0x3FFF) + 1
	case "VP8X":
		return uint24(b[24:]) + 1, uint24(b[27:]) + 1
	}
	return 0, 0
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
