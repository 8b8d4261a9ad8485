package dataset

// Listing is which picture files a folder means, as [Folder] reads them, before any is opened.
type Listing struct {
	// Paths are the files, and Names what they are called in the dataset: their paths below their folder, with slashes.
	Paths, Names []string
	// Classes counts the files of each class; nil where there are no classes.
	Classes map[string]int
	// LeftOut counts other files by their ending.
	LeftOut map[string]int
}

// List finds the picture files that data.dir means. key names it in errors.
func List(key string, dir []string) (Listing, error) {
	files, leftOut, err := listed(key, dir)
	if err != nil {
		return Listing{}, err
	}
	l := Listing{LeftOut: leftOut}
	for _, f := range files {
		l.Paths, l.Names = append(l.Paths, f.path), append(l.Names, f.name)
	}
	if classesOf(l.Names) != nil {
		l.Classes = map[string]int{}
		for _, name := range l.Names {
			l.Classes[classOf(name)]++
		}
	}
	return l, nil
}

// Sizes says how many of n samples come to be trained on, held out and tested, by their names; an error where that leaves none to train
// on or to test. A table's rows are named by [RowName].
func (o Own) Sizes(n int, name func(i int) string) (train, validation, test int, err error) {
	p, err := o.divide(n, 0, name, classed{})
	return len(p.train), len(p.validation), len(p.test), err
}
