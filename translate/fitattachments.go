package translate

// fitAttachments puts words in the place of the images and files that the model
// cannot take, wherever they stand: a request with one would be refused, and so
// would every later one of that conversation.
func (c *Conversation) fitAttachments(t *Target) {
	images, documents := Allows(t.Capabilities.Images, true), Allows(t.Capabilities.Documents, true)
	if images && documents {
		return
	}
	for _, blocks := range [...][]Block{c.Blocks, c.Parts} {
		for i := range blocks {
			switch b := &blocks[i]; {
			case b.Kind == KindImage && !images:
				b.become(Text("[image: the model cannot see it]"))
				c.Losses.Add(c.Param(SettingTurns)+".content.image", Dropped, "the model cannot see images")
			case b.Kind == KindDocument && !documents:
				c.fitDocument(b)
			}
		}
	}
}

// fitDocument makes text of a document. That of a text file is its own.
func (c *Conversation) fitDocument(b *Block) {
	if b.Cited {
		c.Losses.Add(c.Param(SettingTurns)+".content.citations", Dropped, "the model takes no documents that it could cite")
	}
	var text []byte
	switch {
	case b.Source.Plain != nil:
		for _, line := range []Text{b.Name, b.Context} {
			if len(line) > 0 {
				text = append(append(text, line...), `\n\n`...)
			}
		}
		b.become(c.Own(text, b.Source.Plain))
		return
	case len(b.Name) > 0:
		text = c.Own([]byte("[file "), b.Name, []byte(": the model cannot read it]"))
	default:
		text = []byte("[file: the model cannot read it]")
	}
	b.become(text)
	c.Losses.Add(c.Param(SettingTurns)+".content.document", Dropped, "the model cannot read files")
}

// become makes a text of the block, with the same breakpoint behind it.
func (b *Block) become(text Text) { *b = Block{Kind: KindText, Text: text, Cache: b.Cache} }
