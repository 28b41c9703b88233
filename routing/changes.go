package routing

// Changes are what is different between two catalogs.
type Changes struct {
	// Providers are told by the names of their files, Models by those that
	// clients ask for.
	Providers Difference `json:"providers"`
	Models    Difference `json:"models"`
}

// Difference names what came, went, and is there as before with another text in
// its file. The names are sorted; none of the lists is nil.
type Difference struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
	Changed []string `json:"changed"`
}

// Any reports whether there is a difference at all.
func (d *Difference) Any() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) > 0 }

// Digest sums up the files that the catalog was made of.
func (c *Catalog) Digest() Digest { return c.digest }

// Since tells what is different from an older catalog.
func (c *Catalog) Since(older *Catalog) Changes {
	return Changes{
		Providers: difference(older.providerList, c.providerList, func(p *Provider) (string, Digest) { return p.ID, p.digest }),
		Models:    difference(older.modelList, c.modelList, func(m *Model) (string, Digest) { return m.LogicalName, m.digest }),
	}
}

// difference compares two lists that are sorted by the names of their elements.
func difference[E any](before, after []E, of func(E) (name string, text Digest)) Difference {
	d := Difference{Added: []string{}, Removed: []string{}, Changed: []string{}}
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(after) == 0 || len(before) > 0 && name(before, of) < name(after, of):
			d.Removed = append(d.Removed, name(before, of))
			before = before[1:]
		case len(before) == 0 || name(after, of) < name(before, of):
			d.Added = append(d.Added, name(after, of))
			after = after[1:]
		default:
			id, was := of(before[0])
			if _, is := of(after[0]); is != was {
				d.Changed = append(d.Changed, id)
			}
			before, after = before[1:], after[1:]
		}
	}
	return d
}

// name is that of a list's first element.
func name[E any](list []E, of func(E) (string, Digest)) string {
	name, _ := of(list[0])
	return name
}
