package routing

// nearest is the name that a mistyped one most likely stands for: the one with
// the fewest edits, if those are few enough for its length. Empty: none is near.
func nearest(typed string, names []string) string {
	best, fewest := "", 1+max(1, len(typed)/3)
	if len(typed) > 64 {
		return ""
	}
	for _, name := range names {
		if n := typos(typed, name); n < fewest {
			best, fewest = name, n
		}
	}
	return best
}

// typos counts the characters to insert, delete, replace, or swap with their
// neighbour that turn a into b (optimal string alignment distance).
func typos(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
