"""Who proposes: every researcher stands behind one Protocol, and none of them decides anything."""
