package routing

import (
	"crypto/sha256"
	"fmt"
	"hash"
)

// Digest sums up what configuration files say: different texts have different
// digests.
type Digest [sha256.Size]byte

// FilesDigest sums up the files that [Load] would read, and what keeps it from
// reading others. A catalog whose own [Catalog.Digest] is the same says what they
// say. Texts are read, and not only the times of files looked at: these are too
// coarse to tell every change.
func FilesDigest(providersDir, modelsDir string) Digest {
	sum := sha256.New()
	files, warnings, errors := readDir(providersDir, false)
	sumUp(sum, files, warnings, errors)
	files, warnings, errors = readDir(modelsDir, true)
	sumUp(sum, files, warnings, errors)
	return Digest(sum.Sum(nil))
}

// sumUp adds what was found in a directory to a digest.
func sumUp(sum hash.Hash, files []configFile, warnings, errors []Problem) {
	// Each text is preceded by its length, so that no two ways of dividing the
	// same bytes among files look alike. A hash never fails to be written to.
	_, _ = fmt.Fprintf(sum, "%d files, %d warnings, %d errors\n", len(files), len(warnings), len(errors))
	for _, file := range files {
		_, _ = fmt.Fprintf(sum, "%q %q %d\n", file.name, file.fault, len(file.text))
		_, _ = sum.Write(file.text)
	}
	for _, problems := range [][]Problem{warnings, errors} {
		for _, p := range problems {
			_, _ = fmt.Fprintf(sum, "%q\n", p.String())
		}
	}
}
