// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/bits"
	"strings"
)

// How many of each are made ahead. Texts of any length are cut from one long one, which costs no allocation.
const (
	textBytes    = 1 << 20
	channelCount = 10_000
	emailCount   = 1 << 14
	cardGroups   = 1 << 16
	cardLen      = len("0000 0000 0000 0000")
)

// cities, states and names are those of the benchmark.
func cities() []string {
	return []string{
		"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne",
	}
}

func states() []string { return []string{"AZ", "CA", "ID", "OR", "WA", "WY"} }

func firstNames() []string {
	return []string{"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"}
}

func lastNames() []string {
	return []string{"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"}
}

func hotChannels() []string { return []string{"Google", "Facebook", "Baidu", "Apple"} }

// vocabulary is all text that events are made of. It does not change.
type vocabulary struct {
	// letters is text of a to z; words has a space for one letter of thirteen.
	letters, words string
	hot, channels  []channel
	names, emails  []string
	cities, states []string
	// cards is groups of four digits with a space behind each: a card is four of them in a row.
	cards string
}

// channel is where a bid comes from.
type channel struct{ name, url string }

func newVocabulary(seed uint64) *vocabulary {
	r := randomOf(seed, -1)
	v := &vocabulary{
		letters: text(&r, textBytes, 'a', 0), words: text(&r, textBytes, ' ', 13), cities: cities(), states: states(),
	}
	for _, name := range hotChannels() {
		v.hot = append(v.hot, channel{name, baseURL(&r)})
	}
	for i := range channelCount {
		c := channel{fmt.Sprintf("channel-%d", i), baseURL(&r)}
		if r.below(10) > 0 {
			id := int64(int32(bits.Reverse32(uint32(i))))
			c.url += fmt.Sprintf("&channel_id=%d", max(id, -id))
		}
		v.channels = append(v.channels, c)
	}
	for _, first := range firstNames() {
		for _, last := range lastNames() {
			v.names = append(v.names, first+" "+last)
		}
	}
	for range emailCount {
		v.emails = append(v.emails, shortText(&r, 7, ' ')+"@"+shortText(&r, 5, ' ')+".com")
	}
	var cards strings.Builder
	for range cardGroups {
		fmt.Fprintf(&cards, "%04d ", r.below(10_000))
	}
	v.cards = cards.String()
	return v
}

// below is a number in [0, n) of a word of its own.
func (r *random) below(n int64) int64 {
	d := dice(r.word())
	return d.draw(n)
}

// text is n letters, of which one in `one` is the special character; none where that is zero.
func text(r *random, n int64, special byte, one int64) string {
	b := make([]byte, n)
	for i := range b {
		d := dice(r.word())
		if one > 0 && d.draw(one) == 0 {
			b[i] = special
		} else {
			b[i] = 'a' + byte(d.draw(26))
		}
	}
	return string(b)
}

// The least length of a text of the benchmark, and of how many letters one is special.
const (
	textMin    = 3
	specialOne = 13
)

// shortText is of textMin letters or more, less than limit, without spaces around it.
func shortText(r *random, limit int64, special byte) string {
	return strings.TrimSpace(text(r, textMin+r.below(limit-textMin), special, specialOne))
}

func baseURL(r *random) string {
	dirs := []string{shortText(r, 5, '_'), shortText(r, 5, '_'), shortText(r, 5, '_')}
	return "https://www.nexmark.com/" + strings.Join(dirs, "/") + "/item.htm?query=1"
}

// phrase cuts words that are of less than limit letters.
func (v *vocabulary) phrase(d *dice, limit int64) string {
	n := textMin + d.draw(limit-textMin)
	from := d.draw(textBytes - n)
	return strings.TrimSpace(v.words[from : from+n])
}

// extra cuts what makes a record of size bytes one of average bytes in the mean, a fifth of that more or less.
func (v *vocabulary) extra(d *dice, size, average int64) string {
	if size >= average {
		return ""
	}
	fill := average - size
	delta := (fill + 2) / 5
	n := fill - delta
	if delta > 0 {
		n += d.draw(2 * delta)
	}
	from := d.draw(textBytes - n)
	return v.letters[from : from+n]
}
