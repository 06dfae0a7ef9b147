//! Declaring columns.

/// Declares the columns that a plugin reads of one shape, as a struct.
///
/// Each field is a [view](crate::View); its type says how the column is asked
/// for. A column that is not declared is not a field, so that using it does not
/// compile. `Option` makes a column optional; a batch that lacks another one is
/// not shown to the plugin.
///
/// ```
/// use isinglass_plugin::{Dictionary, Integers, Lengths, Offsets, Shape, columns};
///
/// columns! {
///     /// What this plugin reads of spans.
///     pub struct Spans<'a> of Shape::Spans {
///         service: Dictionary<'a> = "service",
///         duration: Integers<'a> = "duration",
///         attr_offsets: Offsets<'a> = "attr.offsets",
///         attr_value: Lengths<'a> = "attr.value",
///         http_route: Option<Dictionary<'a>> = "http_route",
///     }
/// }
///
/// assert_eq!(Spans::REQUESTS.len(), 5);
/// assert!(Spans::REQUESTS[4].optional);
/// ```
///
/// `Spans::REQUESTS` goes into [`Plugin::REQUESTS`](crate::Plugin::REQUESTS);
/// `Spans::of(batch)` gives the columns of a batch.
#[macro_export]
macro_rules! columns {
    (
        $(#[$doc:meta])*
        $visibility:vis struct $name:ident<$lifetime:lifetime> of $shape:path {
            $($field:ident: $view:ty = $column:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        $visibility struct $name<$lifetime> {
            /// Number of rows.
            pub rows: usize,
            $(#[doc = concat!("Column `", $column, "`.")] pub $field: $view,)+
        }

        const _: () = {
            // Positions of the fields, to number the slots.
            #[allow(non_camel_case_types, reason = "named as the fields")]
            enum Position { $($field,)+ }

            // Distinct between shapes, so that no two columns of a plugin share a slot.
            const fn slot(position: Position) -> u16 {
                ($shape as u16) << 8 | position as u16
            }

            impl<$lifetime> $name<$lifetime> {
                /// The columns to ask for.
                pub const REQUESTS: &'static [$crate::Request] = &[
                    $($crate::Request {
                        shape: $shape,
                        slot: slot(Position::$field),
                        name: ::std::borrow::Cow::Borrowed($column),
                        encoding: <$view as $crate::View<'_>>::ENCODING,
                        optional: <$view as $crate::View<'_>>::OPTIONAL,
                    },)+
                ];

                /// The columns of a batch.
                ///
                /// # Panics
                ///
                /// If the host breaks the contract: another shape, a column
                /// that is missing though not optional, or of another type.
                pub fn of(batch: &$lifetime $crate::Batch) -> Self {
                    assert!(batch.shape as u16 == $shape as u16, "batch of another shape");
                    Self {
                        rows: batch.rows,
                        $($field: <$view as $crate::View<'_>>::read(batch, slot(Position::$field))
                            .expect(concat!("the host left out column ", $column)),)+
                    }
                }
            }
        };
    };
}
