//! Products as the law and the line see them.
